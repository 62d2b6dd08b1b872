"""What the numbers in the README come from: each benchmark prints a table."""

from omegaconf import DictConfig

from allaprima.benchmarks import settings
from allaprima.benchmarks.baseline import check_baseline
from allaprima.benchmarks.flicker import benchmark_flicker
from allaprima.benchmarks.infer import benchmark_infer
from allaprima.benchmarks.networks import benchmark_networks
from allaprima.benchmarks.optimize import benchmark_optimize
from allaprima.benchmarks.quality import benchmark_quality
from allaprima.benchmarks.scales import benchmark_scales
from allaprima.benchmarks.tradeoff import benchmark_tradeoff
from allaprima.benchmarks.train import benchmark_train

BENCHMARKS = {
    "train": (benchmark_train, settings.TrainBenchmark),
    "networks": (benchmark_networks, settings.NetworksBenchmark),
    "flicker": (benchmark_flicker, settings.FlickerBenchmark),
    "optimize": (benchmark_optimize, settings.OptimizeBenchmark),
    "scales": (benchmark_scales, settings.ScalesBenchmark),
    "infer": (benchmark_infer, settings.InferBenchmark),
    "quality": (benchmark_quality, settings.QualityBenchmark),
    "tradeoff": (benchmark_tradeoff, settings.TradeoffBenchmark),
}
WITH_BASELINE = ("train", "optimize", "quality")


def benchmark(config: DictConfig) -> None:
    """Run the benchmark that `configs/benchmark.yaml` names.

    Raises:
        UserError: an objective that cannot be, or one or a network that the baseline does not know.
    """
    run, schema = BENCHMARKS[config.benchmark.name]
    chosen = schema.read(config)
    if config.benchmark.name in WITH_BASELINE:
        check_baseline(chosen)
    run(chosen)
