"""Optimizer against network: both on one objective, one photograph, one processor, in one run.

The protocol of Johnson, Alahi, Fei-Fei 2016, figure 5 and table 1.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from allaprima.data.photos import validation_squares
from allaprima.inference.stylizer import Stylizer
from allaprima.losses.perceptual import PerceptualLoss, Terms
from allaprima.optimization.image import Iteration, OnIteration, optimize

# Passes of a network over one photograph, of which the median counts.
PASSES = 5


@dataclass
class OptimizerRun:
    """What the optimizer reached, by iteration, of so many allowed; 0 is its start."""

    allowed: int
    terms: list[Terms] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    pictures: dict[int, Tensor] = field(default_factory=dict)


@dataclass
class NetworkResult:
    """What a network reached in one pass: (1, 3, H, W) in [0, 1], the objective's terms, the pass's seconds."""

    picture: Tensor
    terms: Terms
    seconds: float


@dataclass
class PhotoComparison:
    """One photograph at one size: its own objective, the networks by name, the optimizer by start."""

    name: str
    size: int
    photo: Tensor
    own: Terms
    networks: dict[str, NetworkResult]
    optimizer: dict[str, OptimizerRun]


def by_size(comparisons: Sequence[PhotoComparison]) -> dict[int, list[PhotoComparison]]:
    """Comparisons by the size of their photographs, the smallest first."""
    sizes = sorted({comparison.size for comparison in comparisons})
    return {size: [comparison for comparison in comparisons if comparison.size == size] for size in sizes}


def equivalent_iterations(painted: NetworkResult, optimizer_run: OptimizerRun) -> int:
    """Iterations after which the optimizer is as good as the network; all it was allowed if it never is."""
    overtaken = (number for number, terms in enumerate(optimizer_run.terms) if terms.total <= painted.terms.total)
    return next(overtaken, optimizer_run.allowed)


def median_equivalent(comparisons: Sequence[PhotoComparison], network: str, start: str) -> tuple[float, int, int]:
    """Median, least and most over comparisons of a network's equivalent iterations."""
    values = [
        equivalent_iterations(comparison.networks[network], comparison.optimizer[start]) for comparison in comparisons
    ]
    return statistics.median(values), min(values), max(values)


def median_gain(comparisons: Sequence[PhotoComparison], network: str) -> float:
    """Median over comparisons of the photograph's own objective over a network's."""
    return statistics.median(
        comparison.own.total / comparison.networks[network].terms.total for comparison in comparisons
    )


def compare_on_photo(
    path: Path,
    size: int,
    stylizers: Mapping[str, Stylizer],
    loss: PerceptualLoss,
    starts: Mapping[str, Tensor | None],
    iterations: int,
    shown: Sequence[int],
    on_iteration: OnIteration,
) -> PhotoComparison:
    """Let networks and optimizer paint one photograph.

    Args:
        path: of the photograph, of which the centre square is taken.
        size: pixels a side.
        stylizers: the networks by name.
        loss: the objective of both sides.
        starts: pictures for the optimizer to begin with, (1, 3, size, size) in [0, 1]; None stands for the photograph.
        iterations: of L-BFGS.
        shown: iterations whose pictures are kept.
        on_iteration: called after every iteration.
    """
    photo = validation_squares([path], size)
    content = loss.content_features(photo)
    networks = {name: run_network(stylizer, photo, loss, content) for name, stylizer in stylizers.items()}
    optimizer_runs = {}
    for name, start in starts.items():
        optimizer_run = optimizer_runs[name] = OptimizerRun(iterations)

        def note(iteration: Iteration, optimizer_run: OptimizerRun = optimizer_run) -> None:
            optimizer_run.terms.append(iteration.terms)
            optimizer_run.seconds.append(iteration.seconds)
            if iteration.number in shown:
                optimizer_run.pictures[iteration.number] = iteration.picture
            on_iteration(iteration)

        last = optimize(loss, photo, photo if start is None else start, iterations, "lbfgs", note)
        optimizer_run.pictures.setdefault(last.number, last.picture)
    return PhotoComparison(path.stem, size, photo, measured(loss, photo, content), networks, optimizer_runs)


def run_network(
    stylizer: Stylizer, photo: Tensor, loss: PerceptualLoss, content: Mapping[str, Tensor]
) -> NetworkResult:
    """A network's pastiche of (1, 3, H, W), what it reaches, and the median seconds of its passes after the first."""
    picture = stylizer(photo)
    seconds = []
    for _ in range(PASSES):
        started = time.perf_counter()
        stylizer(photo)
        seconds.append(time.perf_counter() - started)
    return NetworkResult(picture, measured(loss, picture, content), statistics.median(seconds))


@torch.no_grad()
def measured(loss: PerceptualLoss, picture: Tensor, content: Mapping[str, Tensor]) -> Terms:
    """The objective of a picture, (1, 3, H, W) in [0, 1], and its terms, as numbers."""
    return loss(picture, content).numbers()
