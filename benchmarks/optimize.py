"""Seconds an evaluation of the optimizer takes, and what it has reached then: the baseline against this project's."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from allaprima.data.photos import validation_squares
from allaprima.hardware import fastest_precision, keep_freed_memory
from allaprima.losses.objective import fast_on_cpu, load_objective
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos
from allaprima.optimization.image import Iteration, optimize
from benchmarks.baseline import baseline_descent
from benchmarks.rounds import in_turn
from benchmarks.settings import BenchmarkSettings


def baseline_result(settings: BenchmarkSettings) -> tuple[float, float]:
    """Seconds an evaluation of the baseline takes, and the objective that it reaches, in float32."""
    photo, loss = subject(settings)
    started = time.perf_counter()
    picture, evaluations = baseline_descent(loss, photo, settings.benchmark.evaluations)
    return (time.perf_counter() - started) / evaluations, objective(loss, photo, picture)


def exact_result(settings: BenchmarkSettings) -> tuple[float, float]:
    """Seconds and objective of this project's optimizer in float32, which tells its method from its dtype."""

    def exact(loss: PerceptualLoss) -> PerceptualLoss:
        loss.vgg.set_precision("32-true")
        return loss

    return our_result(settings, exact)


def fast_result(settings: BenchmarkSettings) -> tuple[float, float]:
    """Seconds and objective of this project's optimizer as it is."""
    return our_result(settings, fast_on_cpu)


def our_result(
    settings: BenchmarkSettings, prepared: Callable[[PerceptualLoss], PerceptualLoss]
) -> tuple[float, float]:
    """Seconds an evaluation and the objective reached, with the objective as `prepared` gives it."""
    keep_freed_memory()
    photo, loss = subject(settings)
    reached: list[tuple[float, Iteration]] = []

    def keep(iteration: Iteration) -> None:
        if iteration.evaluations <= settings.benchmark.evaluations:
            reached[:] = [(time.perf_counter() - started, iteration)]

    started = time.perf_counter()
    optimize(prepared(loss), photo, photo, settings.benchmark.evaluations - 1, "lbfgs", keep)
    ((seconds, last),) = reached
    photo, loss = subject(settings)
    return seconds / last.evaluations, objective(loss, photo, last.picture)


def subject(settings: BenchmarkSettings) -> tuple[Tensor, PerceptualLoss]:
    """A photograph, (1, 3, H, W) in [0, 1], and the objective in float32."""
    photo = validation_squares(packaged_photos(STARTER_VALIDATION[:1]), settings.benchmark.size)
    return photo, load_objective(settings.loss, settings.style)[1]


@torch.no_grad()
def objective(loss: PerceptualLoss, photo: Tensor, picture: Tensor) -> float:
    """The objective of a picture."""
    return loss.between(picture, photo).total.item()


def benchmark_optimize(settings: BenchmarkSettings) -> None:
    """Print the table, and last `ratio N`: the baseline's time over this optimizer's, the median over rounds."""
    contenders = {"baseline": baseline_result, "this, in float32": exact_result, "this": fast_result}
    rounds = in_turn(contenders, settings)
    evaluations = settings.benchmark.evaluations
    size = settings.benchmark.size
    print(f"seconds an evaluation, {size} x {size}, {torch.get_num_threads()} threads, L-BFGS from the photograph")
    print(f"{'':17}{'median':>8}{'fastest':>9}{'slowest':>9}{f'objective after {evaluations}, in float32':>36}")
    reached = {}
    for name, results in rounds.items():
        seconds, objectives = zip(*results, strict=True)
        reached[name] = statistics.median(objectives)
        numbers = f"{statistics.median(seconds):8.3f}{min(seconds):9.3f}{max(seconds):9.3f}"
        print(f"{name:17}{numbers}{reached[name]:36.4f}")
    print(f"objective over the baseline's {reached['this'] / reached['baseline']:.3f}, ", end="")
    print(f"over that of this in float32 {reached['this'] / reached['this, in float32']:.3f}")
    ratios = [baseline[0] / ours[0] for baseline, ours in zip(rounds["baseline"], rounds["this"], strict=True)]
    print(f"precision {fastest_precision('cpu')}, rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"ratio {statistics.median(ratios):.2f}")
