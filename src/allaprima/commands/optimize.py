"""Painting one photograph with the optimizer: scales from coarse to fine, the picture so far, how it came to be."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from omegaconf import DictConfig
from PIL import Image
from pydantic import model_validator
from torch import Tensor
from tqdm import tqdm

from allaprima.commands.groups import LossSettings, StyleSettings
from allaprima.commands.objective import fast_on_cpu, load_objectives
from allaprima.commands.paths import place_outputs
from allaprima.commands.settings import SMALLEST_SIDE, Number, Seed, Settings, Sides, Text, Whole, one_of
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


class OptimizeSettings(Settings):
    """`configs/optimize.yaml`."""

    style: StyleSettings
    loss: LossSettings
    seed: Seed
    content: Text | None
    output: Text
    init: Text
    method: Annotated[Text, one_of(METHODS)]
    scales: Sides
    iterations: Whole
    show_every: Whole
    content_weight: Number | None
    style_weight: Number
    tv_weight: Number

    @model_validator(mode="after")
    def check_weights(self) -> Self:
        """One term at least must count."""
        if not (self.content_weight is None or self.content_weight or self.style_weight or self.tv_weight):
            raise ValueError("content_weight, style_weight and tv_weight are all 0: nothing is left to lower")
        return self


def optimize_file(config: DictConfig) -> Path:
    """Paint the photograph that `configs/optimize.yaml` names; interrupted, keep the picture reached so far.

    Returns:
        The picture's file; beside it stands its animation.

    Raises:
        UserError: an option that cannot be done, or, with the last good picture kept, an objective that is no number.
    """
    settings = OptimizeSettings.read(config)
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    photo_path = Path(settings.content) if settings.content else packaged_photos(STARTER_VALIDATION)[0]
    photo = read_picture(photo_path)
    if min(photo.image.shape[-2:]) < SMALLEST_SIDE:
        height, width = photo.image.shape[-2:]
        raise UserError(
            f"{photo_path} is {width} x {height} pixels: give a photograph of {SMALLEST_SIDE} or more a side"
        )
    name = picture_name(settings.style.image) if settings.style.image else settings.style.name
    (output,) = place_outputs([(photo_path, Path(photo_path.name))], settings.output, name, None)
    record = Record(output, settings.show_every)
    inputs = {Path(path).resolve() for path in (photo_path, settings.style.image, settings.init) if path}
    if inputs & {output.resolve(), record.animation.resolve()}:
        raise UserError(f"{output} or {record.animation.name} beside it is one of the inputs: choose another output=")
    start = first_picture(settings.init, at_short_side(photo.image[None], settings.scales[0]))
    losses = objectives(weighted(settings), settings.style, settings.scales)
    failure = descend(settings, losses, photo.image[None], start, record)
    if record.last:
        record.finish(photo)
        print(f"{photo_path.name} as {name}: {output}, and how it came to be: {record.animation}")
    if failure:
        raise failure
    return output


def descend(
    settings: OptimizeSettings, losses: Sequence[PerceptualLoss], photo: Tensor, start: Tensor, record: "Record"
) -> UserError | None:
    """Optimize with a progress bar until done, interrupted, or the objective is NaN, which is returned."""
    with tqdm(total=len(losses) * settings.iterations, unit="iteration") as progress:

        def on_iteration(iteration: Iteration) -> None:
            progress.update(min(1, iteration.number))
            progress.set_postfix({term: f"{value:.4g}" for term, value in iteration.terms._asdict().items()})
            record(iteration)

        try:
            coarse_to_fine(losses, settings.scales, photo, start, settings.iterations, settings.method, on_iteration)
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


def weighted(settings: OptimizeSettings) -> LossSettings:
    """The objective with this command's weights; by default with the content weight that fits the painting.

    That is where the bundled network's training led it, if the painting has a network, or else the objective's own.
    """
    content_weight, loss = settings.content_weight, settings.loss
    bundled = bundled_file(f"models/{settings.style.name}.safetensors")
    if content_weight is None and bundled and not settings.style.image and loss.content_distance is not None:
        content_weight = load_network(bundled)[1].content_weights[settings.style.name]
    weights = {"style_weight": settings.style_weight, "tv_weight": settings.tv_weight}
    if content_weight is not None:
        weights["content_weight"] = content_weight
    return loss.model_copy(update=weights)


def first_picture(init: str, photo: Tensor) -> Tensor:
    """What the optimizer begins with, (1, 3, h, w) in [0, 1]. Raises FileError if it cannot be read."""
    if init == "photo":
        return photo
    if init == "noise":
        return torch.rand_like(photo)
    return read_picture(Path(init)).image[None]


def objectives(loss: LossSettings, painting: StyleSettings, scales: Sequence[int]) -> list[PerceptualLoss]:
    """The objective at each scale, fast on this machine.

    The painting is read at `style.size` pixels for the last and shrinks with the photograph for the others, so that
    strokes keep their place; a bundled painting shrinks to the nearest size that it was read at.
    """
    sizes = [max(SMALLEST_SIDE, round(painting.size * scale / scales[-1])) for scale in scales]
    if not painting.image:
        grams, reader = bundled_style(painting.name).grams, f"{Path(loss.weights).name}-vgg{loss.depth}"
        known = {size for identity, sizes in grams.items() if identity.startswith(reader) for size in sizes}
        sizes[:-1] = [min(known, key=lambda one: abs(one - size), default=size) for size in sizes[:-1]]
    return [fast_on_cpu(each) for each in load_objectives(loss, painting, sizes)[1]]


def animated(frames: list[Image.Image]) -> bytes:
    """A WebP animation of pictures, those of earlier scales enlarged to the last one's size."""
    encoded = io.BytesIO()
    first, *others = [frame.resize(frames[-1].size, Image.Resampling.BICUBIC) for frame in frames]
    durations = [FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
    first.save(encoded, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=80)
    return encoded.getvalue()
