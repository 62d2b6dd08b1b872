"""The optimizer from coarse to fine against its last scale alone, at equal time."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from allaprima.data.photos import validation_squares
from allaprima.hardware import keep_freed_memory
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.bundled import packaged_photos
from allaprima.media.images import at_short_side
from allaprima.optimization.image import Iteration
from allaprima.optimization.multiscale import coarse_to_fine, first_picture, load_scale_objectives
from benchmarks.settings import BenchmarkSettings

PHOTO = "skimage/data/astronaut.png"  # 512 x 512, so that there is detail to find at the last scale


def benchmark_scales(settings: BenchmarkSettings) -> None:
    """Print the table, and last `ratio N`: from noise, the objective of the last scale alone over coarse to fine's."""
    keep_freed_memory()
    scales = settings.benchmark.scales
    iterations = settings.benchmark.iterations
    photo = validation_squares(packaged_photos([PHOTO]), scales[-1])
    losses = load_scale_objectives(settings.loss, settings.style, scales)
    print(
        f"objective at {scales[-1]} x {scales[-1]} at equal time, {' and '.join(map(str, scales))} pixels for "
        f"{iterations} iterations each against {scales[-1]} alone"
    )
    print(f"{'start':12}{'seconds':>9}{'one scale':>11}{'coarse to fine':>16}{'ratio':>7}")
    for start in ("photo", "noise"):
        torch.manual_seed(settings.seed)
        seconds, fine = course(losses, scales, photo, start, iterations)[-1]
        alone = course(losses[-1:], scales[-1:], photo, start, len(scales) * iterations)
        in_time = [total for moment, total in alone if moment <= seconds]
        one = in_time[-1] if in_time else alone[0][1]  # where not even its start was reached
        print(f"{start:12}{seconds:9.1f}{one:11.4f}{fine:16.4f}{one / fine:7.2f}")
    print(f"ratio {one / fine:.2f}")


def course(
    losses: Sequence[PerceptualLoss], scales: Sequence[int], photo: Tensor, start: str, iterations: int
) -> list[tuple[float, float]]:
    """Seconds since the start, and the objective of the scale that was worked at then, by iteration."""
    reached: list[tuple[float, float]] = []
    begin = first_picture(start, at_short_side(photo, scales[0]))
    started = time.perf_counter()

    def note(iteration: Iteration) -> None:
        reached.append((time.perf_counter() - started, iteration.terms.total))

    coarse_to_fine(losses, scales, photo, begin, iterations, "lbfgs", note)
    return reached
