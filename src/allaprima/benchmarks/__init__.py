"""What the numbers in the README come from: each benchmark prints a table."""

from omegaconf import DictConfig

from allaprima.benchmarks.infer import benchmark_infer
from allaprima.benchmarks.networks import benchmark_networks
from allaprima.benchmarks.optimize import benchmark_optimize
from allaprima.benchmarks.plain import check_plain
from allaprima.benchmarks.quality import benchmark_quality
from allaprima.benchmarks.scales import benchmark_scales
from allaprima.benchmarks.tradeoff import benchmark_tradeoff
from allaprima.benchmarks.train import benchmark_train
from allaprima.commands.objective import check_objective

BENCHMARKS = {
    "train": benchmark_train,
    "networks": benchmark_networks,
    "optimize": benchmark_optimize,
    "scales": benchmark_scales,
    "infer": benchmark_infer,
    "quality": benchmark_quality,
    "tradeoff": benchmark_tradeoff,
}
WITH_PLAIN_LOOP = ("train", "optimize", "quality")


def benchmark(config: DictConfig) -> None:
    """Run the benchmark that `configs/benchmark.yaml` names.

    Raises:
        UserError: an objective that cannot be, or one or a network that the plain loop does not know.
    """
    check_objective(config)
    if config.benchmark.name in WITH_PLAIN_LOOP:
        check_plain(config)
    BENCHMARKS[config.benchmark.name](config)
