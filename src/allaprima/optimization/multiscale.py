"""The optimizer at several scales, from coarse to fine."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from allaprima.limits import SMALLEST_SIDE
from allaprima.losses.objective import LossSettings, StyleSettings, fast_on_cpu, load_objectives
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import bundled_style
from allaprima.media.images import LONGEST, at_short_side, read_photo, resized
from allaprima.optimization.image import OnIteration, optimize


def load_scale_objectives(loss: LossSettings, painting: StyleSettings, scales: Sequence[int]) -> list[PerceptualLoss]:
    """The objective at each scale, fast on this machine.

    The painting is read at `painting.size` pixels for the last and shrinks with the photograph for the others, so that
    strokes keep their place; a bundled painting shrinks to the nearest size that it was read at.
    """
    sizes = [max(SMALLEST_SIDE, round(painting.size * scale / scales[-1])) for scale in scales]
    if not painting.image and loss.style_weight:
        known = bundled_style(painting.name).sizes(loss.identity_prefix)
        sizes[:-1] = [min(known, key=lambda one: abs(one - size)) for size in sizes[:-1]]
    return [fast_on_cpu(each) for each in load_objectives(loss, painting, sizes)[1]]


def first_picture(init: str, photo: Tensor) -> Tensor:
    """What the optimizer begins with, (1, 3, h, w) in [0, 1]: `photo`, `noise` of its shape, or a picture file."""
    if init == "photo":
        return photo
    if init == "noise":
        return torch.rand_like(photo)
    return read_photo(Path(init))


def coarse_to_fine(
    losses: Sequence[PerceptualLoss],
    scales: Sequence[int],
    photo: Tensor,
    start: Tensor,
    iterations: int,
    method: str,
    on_iteration: OnIteration,
) -> None:
    """Optimize at each scale, a short side in pixels, beginning with what the one before has reached.

    The photograph is (1, 3, H, W) in [0, 1], the start of any size; the others are as in `optimize`.
    """
    picture = start
    coarser = None
    for loss, scale in zip(losses, scales, strict=True):
        content = at_short_side(photo, scale, LONGEST)
        picture = resized(picture, content.shape[-2:])
        if coarser is not None and loss.content_layers:
            # The enlarged picture, with what its photograph shows at this scale only.
            picture = (picture + content - resized(coarser, content.shape[-2:])).clamp(0, 1)
        picture = optimize(loss, content, picture, iterations, method, on_iteration).picture
        coarser = content
