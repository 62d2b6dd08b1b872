"""Painting one photograph with the optimizer: scales from coarse to fine, the picture so far, how it came to be."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from allaprima.commands.checks import SMALLEST_SIDE, check_seed, check_sides, check_whole
from allaprima.commands.objective import check_objective, fast_on_cpu, load_objectives
from allaprima.commands.paths import place_outputs
from allaprima.data.photos import STARTER_VALIDATION, packaged_photos
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import bundled_style, picture_name
from allaprima.media.bundled import bundled_file
from allaprima.media.files import write_atomically
from allaprima.media.images import Picture, at_short_side, read_picture, resized, to_image, write_picture
from allaprima.networks.files import load_network
from allaprima.optimization.image import METHODS, Iteration
from allaprima.optimization.multiscale import coarse_to_fine

FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS = 80, 2000
MOST_FRAMES = 100


def optimize_file(config: DictConfig) -> Path:
    """Paint the photograph that `configs/optimize.yaml` names; interrupted, keep the picture reached so far.

    Returns:
        The picture's file; beside it stands its animation.

    Raises:
        UserError: an option that cannot be done, or, with the last good picture kept, an objective that is no number.
    """
    if config.content_weight is None:
        config.content_weight = default_content_weight(config)
    config.loss.update({name: config[name] for name in ("content_weight", "style_weight", "tv_weight")})
    check_optimization(config)
    keep_freed_memory()
    torch.manual_seed(config.seed)
    photo_path = packaged_photos(STARTER_VALIDATION)[0] if config.content is None else Path(str(config.content))
    photo = read_picture(photo_path)
    if min(photo.image.shape[-2:]) < SMALLEST_SIDE:
        height, width = photo.image.shape[-2:]
        raise UserError(
            f"{photo_path} is {width} x {height} pixels: give a photograph of {SMALLEST_SIDE} or more a side"
        )
    name = picture_name(str(config.style.image)) if config.style.image else config.style.name
    (output,) = place_outputs([(photo_path, Path(photo_path.name))], str(config.output), name, None)
    record = Record(output, config.show_every)
    inputs = {Path(str(path)).resolve() for path in (photo_path, config.style.image, config.init) if path}
    if inputs & {output.resolve(), record.animation.resolve()}:
        raise UserError(f"{output} or {record.animation.name} beside it is one of the inputs: choose another output=")
    start = first_picture(config.init, at_short_side(photo.image[None], config.scales[0]))
    losses = objectives(config, config.scales)
    failure = descend(config, losses, photo.image[None], start, record)
    if record.last:
        record.finish(photo)
        print(f"{photo_path.name} as {name}: {output}, and how it came to be: {record.animation}")
    if failure:
        raise failure
    return output


def descend(
    config: DictConfig, losses: Sequence[PerceptualLoss], photo: Tensor, start: Tensor, record: "Record"
) -> UserError | None:
    """Optimize with a progress bar until done, interrupted, or the objective is NaN, which is returned."""
    with tqdm(total=len(losses) * config.iterations, unit="iteration") as progress:

        def watch(iteration: Iteration) -> None:
            progress.update(min(1, iteration.number))
            progress.set_postfix({term: f"{value:.4g}" for term, value in iteration.terms._asdict().items()})
            record(iteration)

        try:
            coarse_to_fine(losses, config.scales, photo, start, config.iterations, config.method, watch)
            if progress.n < progress.total:
                progress.write("ended early: no step lowers the objective any more")
        except KeyboardInterrupt:
            progress.write("interrupted; the picture so far is kept")
        except UserError as error:
            return error
    return None


class Record:
    """The picture so far in its file, and how it came to be.

    Args:
        output: the picture's file; the animation stands beside it.
        every: iterations between the pictures that are written; at first between the animation's frames too, which
            become fewer where there are too many.
    """

    def __init__(self, output: Path, every: int) -> None:
        self.output, self.every, self.frame_every = output, every, every
        self.animation = output.with_name(f"{output.stem}_progress.webp")
        self.frames: list[Image.Image] = []
        self.last: Iteration | None = None

    def __call__(self, iteration: Iteration) -> None:
        """Take note of an iteration."""
        self.last = iteration
        if iteration.number and iteration.number % self.every == 0:
            write_picture(self.output, Picture(iteration.picture[0], None))
        if iteration.number % self.frame_every == 0:
            self.frames.append(to_image(iteration.picture[0]))
        if len(self.frames) > MOST_FRAMES:
            del self.frames[1::2]
            self.frame_every *= 2

    def finish(self, photo: Picture) -> None:
        """Write the last picture, at the photograph's size and with its transparency, and the animation."""
        self.frames.append(to_image(self.last.picture[0]))
        write_picture(self.output, Picture(resized(self.last.picture, photo.image.shape[-2:])[0], photo.alpha))
        write_atomically(self.animation, animated(self.frames))


def default_content_weight(config: DictConfig) -> float:
    """The weight to which the bundled network's training was led, if the painting has one, or else the objective's."""
    bundled = bundled_file(f"models/{config.style.name}.safetensors")
    if config.style.image or not bundled or config.loss.content_distance is None:
        return config.loss.content_weight
    return load_network(bundled)[1]["content_weights"][config.style.name]


def check_optimization(config: DictConfig) -> None:
    """Raises UserError for a setting that no optimisation can work with."""
    check_objective(config)
    for setting in ("iterations", "show_every"):
        check_whole(config, setting, least=1)
    check_seed(config)
    if config.method not in METHODS:
        raise UserError(f"method={config.method}: take one of {', '.join(METHODS)}")
    check_sides(config, "scales")
    if not any(config.loss[weight] for weight in ("content_weight", "style_weight", "tv_weight")):
        raise UserError("content_weight, style_weight and tv_weight are all 0: nothing is left to lower")


def first_picture(init: str, photo: Tensor) -> Tensor:
    """What the optimizer begins with, (1, 3, h, w) in [0, 1]. Raises ImageError if it cannot be read."""
    if init == "photo":
        return photo
    if init == "noise":
        return torch.rand_like(photo)
    return read_picture(Path(str(init))).image[None]


def objectives(config: DictConfig, scales: Sequence[int]) -> list[PerceptualLoss]:
    """The objective at each scale of the groups `loss` and `style`.

    The painting is read at `style.size` pixels for the last and shrinks with the photograph for the others, so that
    strokes keep their place; a bundled painting shrinks to the nearest size that it was read at.
    """
    sizes = [max(SMALLEST_SIDE, round(config.style.size * scale / scales[-1])) for scale in scales]
    if not config.style.image:
        known = {size for sizes in bundled_style(config.style.name).grams.values() for size in sizes}
        sizes[:-1] = [min(known, key=lambda one: abs(one - size)) for size in sizes[:-1]]
    return [fast_on_cpu(loss) for loss in load_objectives(config.loss, config.style, sizes)[1]]


def animated(frames: list[Image.Image]) -> bytes:
    """A WebP animation of pictures, those of earlier scales enlarged to the last one's size."""
    encoded = io.BytesIO()
    first, *others = [frame.resize(frames[-1].size, Image.Resampling.BICUBIC) for frame in frames]
    durations = [FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
    first.save(encoded, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=80)
    return encoded.getvalue()
