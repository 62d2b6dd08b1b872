"""Painting one photograph with the optimizer: scales from coarse to fine, the picture so far, how it came to be."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from allaprima.data.photos import STARTER_VALIDATION, packaged_photos
from allaprima.errors import UserError
from allaprima.images import Picture, read_picture, to_image, write_atomically, write_picture
from allaprima.memory import keep_freed_memory
from allaprima.objective import check_objective, fast_on_cpu, load_objective
from allaprima.optimizer import METHODS, Iteration, optimize
from allaprima.painting import place_outputs
from allaprima.settings import check_whole
from allaprima.style import shipped_style

FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS = 80, 2000


def optimize_file(config: DictConfig) -> Path:
    """Paint the photograph that `configs/optimize.yaml` names; interrupted, keep the picture reached so far.

    Returns:
        The picture's file; beside it stands its animation.

    Raises:
        UserError: an option that cannot be done, or an objective that is no number any more.
    """
    config.loss.update({name: config[name] for name in ("content_weight", "style_weight", "tv_weight")})
    check_optimization(config)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    (photo_path,) = [Path(str(config.content))] if config.content else packaged_photos(STARTER_VALIDATION[:1])
    photo = read_picture(photo_path)
    name = Path(str(config.style.image)).stem if config.style.image else config.style.name
    (output,) = place_outputs([(photo_path, Path(photo_path.name))], str(config.output), name, None)
    size = photo.image.shape[-2:]
    start = first_picture(config.init, photo.image)
    frames: list[Image.Image] = []
    total = len(config.scales) * config.iterations

    def show(iteration: Iteration) -> None:
        progress.update(min(1, iteration.number))
        progress.set_postfix({term: f"{value:.4g}" for term, value in iteration.terms._asdict().items()})
        reached[:] = [iteration.picture]
        if iteration.number % config.show_every == 0:
            frames.append(to_image(iteration.picture[0]))
            write_picture(output, Picture(resized(iteration.picture, size)[0], photo.alpha))

    reached = [start]
    with tqdm(total=total, unit="iteration") as progress:
        try:
            coarse_to_fine(config, config.scales, photo.image[None], start, config.iterations, config.method, show)
        except KeyboardInterrupt:
            progress.write("interrupted; the picture so far is kept")
    write_picture(output, Picture(resized(reached[0], size)[0], photo.alpha))
    animation = output.with_name(f"{output.stem}_progress.webp")
    write_atomically(animation, animated([*frames, to_image(reached[0][0])]))
    print(f"{photo_path.name} as {name}: {output}, and how it came to be: {animation}")
    return output


def check_optimization(config: DictConfig) -> None:
    """Raises UserError for a setting that no optimisation can work with."""
    check_objective(config)
    for setting in ("iterations", "show_every"):
        check_whole(config, setting, least=1)
    check_whole(config, "seed", least=0)
    if config.method not in METHODS:
        raise UserError(f"method={config.method}: take one of {', '.join(METHODS)}")
    check_scales(config, "scales")
    if not any(config.loss[weight] for weight in ("content_weight", "style_weight", "tv_weight")):
        raise UserError("content_weight, style_weight and tv_weight are all 0: nothing is left to lower")


def check_scales(config: DictConfig, name: str) -> None:
    """Raises UserError unless the setting called `name` is a list of short sides in pixels."""
    scales = OmegaConf.select(config, name)
    if not OmegaConf.is_list(scales) or not scales or not all(type(side) is int and side >= 32 for side in scales):
        raise UserError(f"{name}={scales}: give a list of short sides in pixels, {name}=[128,256], 32 or more each")


def first_picture(init: str, photo: Tensor) -> Tensor:
    """What the optimizer begins with, (1, 3, h, w) in [0, 1]. Raises ImageError if it cannot be read."""
    if init == "photo":
        return photo[None]
    if init == "noise":
        return torch.rand_like(photo)[None]
    return read_picture(Path(str(init))).image[None]


def coarse_to_fine(
    config: DictConfig,
    scales: Sequence[int],
    photo: Tensor,
    start: Tensor,
    iterations: int,
    method: str,
    watch: Callable[[Iteration], object],
) -> None:
    """Optimize at each scale, beginning with what the one before has reached.

    Args:
        config: with the groups `loss` and `style`; the painting is read at `style.size` pixels for the last scale and
            shrinks with the photograph for the others, so that strokes keep their place in it.
        scales: short sides in pixels.
        photo: (1, 3, H, W) in [0, 1].
        start: the picture to begin with, of any size.
        iterations: at each scale.
        method: a name in `METHODS`.
        watch: called as `optimize` does.
    """
    picture, coarser = start, None
    for scale in scales:
        wanted = max(32, round(config.style.size * scale / scales[-1]))
        if not config.style.image:
            wanted = min(shipped_style(config.style.name).grams, key=lambda size: abs(size - wanted))
        _, loss = load_objective(config.loss, OmegaConf.merge(config.style, {"size": wanted}))
        content = at_scale(photo, scale)
        picture = resized(picture, content.shape[-2:])
        if coarser is not None and loss.content_layers:
            picture = with_detail(picture, content, coarser)
        picture = optimize(fast_on_cpu(loss), content, picture, iterations, method, watch).picture
        coarser = content


def with_detail(picture: Tensor, photo: Tensor, coarser: Tensor) -> Tensor:
    """An enlarged picture with what its photograph shows at this scale only; all (1, 3, H, W) in [0, 1]."""
    return (picture + photo - resized(coarser, photo.shape[-2:])).clamp(0, 1)


def at_scale(photo: Tensor, short: int) -> Tensor:
    """(1, 3, H, W) with its short side brought down to so many pixels; never enlarged."""
    factor = min(1, short / min(photo.shape[-2:]))
    return resized(photo, [max(1, round(side * factor)) for side in photo.shape[-2:]])


def resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, h, w) in [0, 1] at `size`, (height, width)."""
    if tuple(picture.shape[-2:]) == tuple(size):
        return picture
    return F.interpolate(picture, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)


def animated(frames: list[Image.Image]) -> bytes:
    """A WebP animation of pictures, those of earlier scales enlarged to the last one's size."""
    encoded = io.BytesIO()
    first, *others = [frame.resize(frames[-1].size, Image.Resampling.BICUBIC) for frame in frames]
    durations = [FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
    first.save(encoded, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=80)
    return encoded.getvalue()
