"""What the figures in the documents come from: each benchmark prints a table."""

from omegaconf import DictConfig

from benchmarks.baseline import check_baseline
from benchmarks.flicker import benchmark_flicker
from benchmarks.infer import benchmark_infer
from benchmarks.networks import benchmark_networks
from benchmarks.optimize import benchmark_optimize
from benchmarks.quality import benchmark_quality
from benchmarks.scales import benchmark_scales
from benchmarks.settings import BenchmarkSettings
from benchmarks.tradeoff import benchmark_tradeoff
from benchmarks.train import benchmark_train

BENCHMARKS = {
    "train": benchmark_train,
    "networks": benchmark_networks,
    "flicker": benchmark_flicker,
    "optimize": benchmark_optimize,
    "scales": benchmark_scales,
    "infer": benchmark_infer,
    "quality": benchmark_quality,
    "tradeoff": benchmark_tradeoff,
}
WITH_BASELINE = ("train", "optimize", "quality")


def benchmark(config: DictConfig) -> None:
    """Run the benchmark that `configs/benchmark.yaml` names.

    Raises:
        UserError: a setting that cannot be, or an objective or a network that the baseline does not know.
    """
    settings = BenchmarkSettings.read(config)
    if settings.benchmark.name in WITH_BASELINE:
        check_baseline(settings)
    BENCHMARKS[settings.benchmark.name](settings)
