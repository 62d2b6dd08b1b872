"""Optimizer against network: both on one objective, one photograph, one processor, in one run.

The protocol of Johnson, Alahi, Fei-Fei 2016, figure 5 and table 1.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from allaprima.data.photos import validation_squares
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.losses.gram import gram_matrix
from allaprima.losses.objective import LossSettings, StyleSettings, fast_on_cpu, load_objective
from allaprima.losses.perceptual import LossTerms, PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.bundled import bundled_names
from allaprima.media.painting import Painting
from allaprima.networks.base import BOLDNESS
from allaprima.networks.metadata import Metadata
from allaprima.optimization.image import Iteration, OnIteration, optimize

Painter = Callable[[Tensor], Tensor]  # (1, 3, H, W) in [0, 1] to the same

PASSES = 5  # of a network over one photograph, of which the median counts
BOLDNESSES = 0, 0.25, 0.5, 0.75, 1
DELTAS_AFTER = 100  # iterations


@dataclass
class OptimizerRun:
    """What the optimizer reached by iteration, of at most `allowed`; 0 is its start."""

    allowed: int
    terms: list[LossTerms] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    pictures: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class NetworkResult:
    """What a network reached in one pass: (1, 3, H, W) in [0, 1], the objective's terms, the pass's seconds."""

    picture: Tensor
    terms: LossTerms
    seconds: float

    def equivalent_iterations(self, run: OptimizerRun) -> int:
        """Iterations after which the optimizer is as good as the network; all it was allowed if it never is."""
        as_good = (number for number, terms in enumerate(run.terms) if terms.total <= self.terms.total)
        return next(as_good, run.allowed)


@dataclass
class PhotoComparison:
    """One photograph at one size: its own objective, the networks by name, the optimizer by start."""

    name: str
    size: int
    photo: Tensor
    own: LossTerms
    networks: dict[str, NetworkResult]
    optimizer: dict[str, OptimizerRun]


def by_size(comparisons: Sequence[PhotoComparison]) -> dict[int, list[PhotoComparison]]:
    """Comparisons by the size of their photographs, the smallest first."""
    sizes = sorted({each.size for each in comparisons})
    return {size: [each for each in comparisons if each.size == size] for size in sizes}


def median_equivalent(comparisons: Sequence[PhotoComparison], network: str, start: str) -> tuple[float, int, int]:
    """Median, least and most of a network's equivalent iterations."""
    values = [each.networks[network].equivalent_iterations(each.optimizer[start]) for each in comparisons]
    return statistics.median(values), min(values), max(values)


def median_gain(comparisons: Sequence[PhotoComparison], network: str) -> float:
    """Median of the photograph's own objective over a network's."""
    return statistics.median(each.own.total / each.networks[network].terms.total for each in comparisons)


def trained_objective(
    metadata: Metadata, trained: Painting, picture: str | None, boldness: float = BOLDNESS
) -> tuple[Style, PerceptualLoss]:
    """The objective of a network's training for one of its paintings, fast on this machine.

    With the content weight that training ended with at that boldness. The painting is bundled, or `picture`, a path or
    web address. Raises UserError if neither is there or it differs.
    """
    give = f"the network was trained on {trained.source}: give that picture with style.image=PATH"
    if not picture and trained.name not in bundled_names("models/styles"):
        raise UserError(give)
    weight = metadata.content_weight(trained.name, boldness)
    weight = metadata.loss.get("content_weight") if weight is None else weight
    try:
        loss = TypeAdapter(LossSettings).validate_python(metadata.loss | {"content_weight": weight})
    except ValidationError as error:
        raise UserError(f"the network was trained on an objective that is not known here: {metadata.loss}") from error
    if not loss.style_weight:
        raise UserError("the network was trained without style: there is nothing to compare")
    painting = StyleSettings(name=trained.name, image=picture, size=metadata.style_size)
    style, objective = load_objective(loss, painting)
    if not style.same_as(trained):
        raise UserError(give)
    if objective.vgg.identity != metadata.loss_network:
        raise UserError(f"the network was trained with {metadata.loss_network}, and here is {objective.vgg.identity}")
    return style, fast_on_cpu(objective)


def compare_on_photo(
    path: Path,
    size: int,
    painters: Mapping[str, Painter],
    loss: PerceptualLoss,
    starts: Mapping[str, Tensor | None],
    iterations: int,
    shown: Sequence[int],
    on_iteration: OnIteration,
) -> PhotoComparison:
    """Let networks, by name, and optimizer paint the centre square of one photograph, at `size` pixels a side.

    The optimizer begins with pictures by name, (1, 3, size, size) in [0, 1], where None stands for the photograph; its
    pictures at the iterations `shown` are kept.
    """
    photo = validation_squares([path], size)
    content = loss.content_features(photo)
    networks = {name: run_network(paint, photo, loss, content) for name, paint in painters.items()}
    runs = {}
    for name, start in starts.items():
        run = runs[name] = OptimizerRun(iterations)

        def note(iteration: Iteration, run: OptimizerRun = run) -> None:
            run.terms.append(iteration.terms)
            run.seconds.append(iteration.seconds)
            if iteration.number in shown:
                run.pictures[iteration.number] = iteration.picture
            on_iteration(iteration)

        last = optimize(loss, photo, photo if start is None else start, iterations, "lbfgs", note)
        run.pictures.setdefault(last.number, last.picture)
    return PhotoComparison(path.stem, size, photo, numbers(loss, photo, content), networks, runs)


def run_network(paint: Painter, photo: Tensor, loss: PerceptualLoss, content: Mapping[str, Tensor]) -> NetworkResult:
    """A network's pastiche of (1, 3, H, W), what it reaches, and the median seconds of its passes after the first."""
    picture = paint(photo)
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        paint(photo)
        seconds.append(time.perf_counter() - started)
    return NetworkResult(picture, numbers(loss, picture, content), statistics.median(seconds))


@torch.no_grad()
def numbers(loss: PerceptualLoss, picture: Tensor, content: Mapping[str, Tensor]) -> LossTerms:
    """The objective of a picture, (1, 3, H, W) in [0, 1], and its terms, as numbers."""
    return loss(picture, content).numbers()


def calm_to_bold(stylizer: Stylizer, photo: Tensor) -> dict[str, Tensor]:
    """A network's pastiches of (1, 3, H, W) by boldness; none of a network without that choice."""
    if stylizer.network.levels == 1:
        return {}
    return {f"boldness {boldness:g}": stylizer(photo, boldness=boldness, brush=1) for boldness in BOLDNESSES}


def delta_pictures(
    comparison: PhotoComparison, network: str, loss: PerceptualLoss, iterations: int, on_iteration: OnIteration
) -> dict[str, Tensor]:
    """Pictures for a look at total variation: photograph, pastiche, and the optimizer's with and without that term."""
    without = copy.copy(loss)
    without.tv_weight = 0.0
    photo = comparison.photo
    pictures = {"photograph": photo, f"pastiche ({network})": comparison.networks[network].picture}
    for name, objective in (("optimizer", loss), ("optimizer without total variation", without)):
        steps = min(DELTAS_AFTER, iterations)
        pictures[name] = optimize(objective, photo, photo, steps, "lbfgs", on_iteration).picture
    return pictures


@torch.no_grad()
def gram_matrices(comparison: PhotoComparison, loss: PerceptualLoss) -> dict[str, dict[str, Tensor]]:
    """Gram matrices by layer of painting, photograph and each network's pastiche, (C, C), divided by H W."""
    pictures = {"photograph": comparison.photo}
    pictures |= {name: result.picture for name, result in comparison.networks.items()}
    layers = {layer: {"painting": loss.get_buffer(f"gram_{layer}")} for layer in loss.style_layers}
    for name, picture in pictures.items():
        features = loss.vgg(picture, loss.style_layers)
        for layer in layers:
            layers[layer][name] = gram_matrix(features[layer])[0]
    return layers
