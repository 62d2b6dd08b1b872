"""The optimizer at several scales, from coarse to fine."""

from collections.abc import Sequence

from torch import Tensor

from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.images import at_short_side, resized
from allaprima.optimization.image import OnIteration, optimize


def coarse_to_fine(
    losses: Sequence[PerceptualLoss],
    scales: Sequence[int],
    photo: Tensor,
    start: Tensor,
    iterations: int,
    method: str,
    on_iteration: OnIteration,
) -> None:
    """Optimize at each scale, beginning with what the one before has reached.

    Args:
        losses: the objective at each scale.
        scales: short sides in pixels.
        photo: (1, 3, H, W) in [0, 1].
        start: the picture to begin with, of any size.
        iterations: at each scale.
        method: a name in `METHODS`.
        on_iteration: called as `optimize` does.
    """
    picture, coarser = start, None
    for loss, scale in zip(losses, scales, strict=True):
        content = at_short_side(photo, scale)
        picture = resized(picture, content.shape[-2:])
        if coarser is not None and loss.content_layers:
            picture = with_detail(picture, content, coarser)
        picture = optimize(loss, content, picture, iterations, method, on_iteration).picture
        coarser = content


def with_detail(picture: Tensor, photo: Tensor, coarser: Tensor) -> Tensor:
    """An enlarged picture with what its photograph shows at this scale only; all (1, 3, H, W) in [0, 1]."""
    return (picture + photo - resized(coarser, photo.shape[-2:])).clamp(0, 1)
