"""The optimizer from coarse to fine against its last scale alone, at equal time."""

import time

import torch
from omegaconf import DictConfig
from torch import Tensor

from allaprima.data.photos import STARTER_VALIDATION, packaged_photos, validation_squares
from allaprima.memory import keep_freed_memory
from allaprima.optimizer import Iteration
from allaprima.optimizer_run import check_scales, coarse_to_fine
from allaprima.settings import check_whole


def benchmark_scales(config: DictConfig) -> None:
    """Print the table, and last `ratio N`: from noise, the objective of the last scale alone over coarse to fine's."""
    check_whole(config, "benchmark.iterations", least=1)
    check_scales(config, "benchmark.scales")
    keep_freed_memory()
    scales = list(config.benchmark.scales)
    photo = validation_squares(packaged_photos(STARTER_VALIDATION[:1]), scales[-1])
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(config.seed))
    print(f"objective at {scales[-1]} x {scales[-1]} at equal time, {config.benchmark.iterations} iterations a scale")
    print(f"{'start':12}{'seconds':>9}{'one scale':>11}{'coarse to fine':>16}{'ratio':>7}")
    for name, start in (("photograph", photo), ("noise", noise)):
        seconds, fine = course(config, scales, photo, start, config.benchmark.iterations)[-1]
        alone = course(config, scales[-1:], photo, start, len(scales) * config.benchmark.iterations)
        one = [total for moment, total in alone if moment <= seconds][-1]
        print(f"{name:12}{seconds:9.1f}{one:11.4f}{fine:16.4f}{one / fine:7.2f}")
    print(f"ratio {one / fine:.2f}")


def course(
    config: DictConfig, scales: list[int], photo: Tensor, start: Tensor, iterations: int
) -> list[tuple[float, float]]:
    """Seconds since the start, and the objective of the scale that was worked at then, by iteration."""
    reached: list[tuple[float, float]] = []
    started = time.perf_counter()

    def note(iteration: Iteration) -> None:
        reached.append((time.perf_counter() - started, iteration.terms.total))

    coarse_to_fine(config, scales, photo, start, iterations, "lbfgs", note)
    return reached
