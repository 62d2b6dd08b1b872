"""Painting one photograph with the optimizer: scales from coarse to fine, the picture so far, an animation of them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

import torch
from omegaconf import DictConfig
from pydantic import model_validator
from torch import Tensor
from tqdm import tqdm

from allaprima.commands.settings import Settings
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.limits import SMALLEST_SIDE, NonNegative, PositiveInt, Seed, Sides, Text, one_of
from allaprima.losses.objective import LossSettings, StyleSettings
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import picture_name
from allaprima.media.bundled import STARTER_VALIDATION, bundled_file, packaged_photos
from allaprima.media.files import check_writable
from allaprima.media.images import LONGEST, at_short_side, check_encodable, read_picture, short_side_size
from allaprima.media.outputs import place_outputs
from allaprima.networks.base import BOLDNESS
from allaprima.networks.files import load_network
from allaprima.optimization.image import METHODS, Iteration
from allaprima.optimization.multiscale import coarse_to_fine, first_picture, load_scale_objectives
from allaprima.optimization.progress import ProgressRecorder


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
    iterations: PositiveInt
    show_every: PositiveInt
    content_weight: NonNegative | None
    style_weight: NonNegative
    tv_weight: NonNegative

    @model_validator(mode="after")
    def check_weights(self) -> Self:
        """One term at least must count."""
        if not (self.content_weight is None or self.content_weight or self.style_weight or self.tv_weight):
            raise ValueError("content_weight, style_weight and tv_weight are all 0: nothing is left to lower")
        return self


def optimize_file(config: DictConfig) -> Path:
    """Paint the photograph that `configs/optimize.yaml` names; interrupted, keep the picture so far; its file."""
    settings = OptimizeSettings.read(config)
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    photo_path = Path(settings.content) if settings.content else packaged_photos(STARTER_VALIDATION)[0]
    photo = read_picture(photo_path)
    height, width = photo.image.shape[-2:]
    check_content(photo_path, (height, width), settings.scales)
    name = picture_name(settings.style.image) if settings.style.image else settings.style.name
    (output,) = place_outputs([(photo_path, Path(photo_path.name))], settings.output, name, None)
    recorder = ProgressRecorder(output, settings.show_every)
    if str(output) == "-":
        raise UserError("output=-: give a file or a folder, since the picture so far is written too")
    inputs = {Path(path).resolve() for path in (photo_path, settings.style.image, settings.init) if path}
    if inputs & {output.resolve(), recorder.animation.resolve()}:
        raise UserError(f"{output} or {recorder.animation.name} beside it is one of the inputs: choose another output=")
    check_encodable((width, height), output.suffix)
    for file in (output, recorder.animation):
        check_writable(file)
    older = " (an older one is replaced)" if output.exists() else ""
    content = photo.on_white()[None]
    start = first_picture(settings.init, at_short_side(content, settings.scales[0], LONGEST))
    losses = load_scale_objectives(weighted_loss(settings), settings.style, settings.scales)
    failure = optimize_scales(settings, losses, content, start, recorder)
    if recorder.last:
        recorder.finish(photo)
        print(f"{photo_path.name} as {name}: {output}{older}, the way there: {recorder.animation}")
    if failure:
        raise failure
    return output


def check_content(path: Path, size: tuple[int, int], scales: Sequence[int]) -> None:
    """Raises UserError for a photograph, (height, width), that is too small or narrow; says what is made smaller."""
    height, width = size
    if min(size) < SMALLEST_SIDE:
        pixels = f"{width} x {height} pixels"
        raise UserError(f"{path} is {pixels}: give a photograph of {SMALLEST_SIDE} or more a side")
    narrow = f"{path.name} is {max(size) / min(size):.0f} times as long as high"
    coarse, fine = (short_side_size(size, scale, LONGEST) for scale in (scales[0], scales[-1]))
    if min(coarse) < SMALLEST_SIDE:
        raise UserError(
            f"{narrow}, too narrow for scales=[{scales[0]}...]: give larger ones, or a part of the photograph"
        )
    if min(fine) < min(scales[-1], *size):
        print(f"{narrow}: it is optimized at {fine[1]} x {fine[0]} pixels, so that memory suffices")


def optimize_scales(
    settings: OptimizeSettings, losses: list[PerceptualLoss], photo: Tensor, start: Tensor, recorder: ProgressRecorder
) -> UserError | None:
    """Optimize with a progress bar until done, interrupted, or the objective is NaN, which is returned."""
    with tqdm(total=len(losses) * settings.iterations, unit="iteration") as progress:

        def show(iteration: Iteration) -> None:
            progress.update(min(1, iteration.number))
            progress.set_postfix({term: f"{value:.4g}" for term, value in iteration.terms._asdict().items()})
            recorder(iteration)

        try:
            coarse_to_fine(losses, settings.scales, photo, start, settings.iterations, settings.method, show)
            if progress.n < progress.total:
                progress.write("ended early: no step lowers the objective any more")
        except KeyboardInterrupt:
            progress.write("interrupted; the picture so far is kept")
        except UserError as error:
            return error
    return None


def weighted_loss(settings: OptimizeSettings) -> LossSettings:
    """The objective with this command's weights; by default with the content weight that fits the painting.

    That is the one with which the training of the bundled network ended, if there is one, or else the objective's own.
    """
    content_weight = settings.content_weight
    loss = settings.loss
    bundled = bundled_file(f"models/{settings.style.name}.safetensors")
    if content_weight is None and bundled and not settings.style.image and loss.content_distance is not None:
        metadata = load_network(bundled)[1]
        if metadata.loss["objective"] == loss.objective:
            content_weight = metadata.content_weight(settings.style.name, BOLDNESS)
    if content_weight is None:
        content_weight = loss.content_weight
    weights = {"style_weight": settings.style_weight, "tv_weight": settings.tv_weight}
    return dataclasses.replace(loss, content_weight=content_weight, **weights)
