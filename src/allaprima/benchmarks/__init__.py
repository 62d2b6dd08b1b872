"""What the numbers in the README come from: each benchmark prints a table."""

from omegaconf import DictConfig

from allaprima.benchmarks.infer import benchmark_infer
from allaprima.benchmarks.networks import benchmark_networks
from allaprima.benchmarks.optimize import benchmark_optimize
from allaprima.benchmarks.quality import benchmark_quality
from allaprima.benchmarks.scales import benchmark_scales
from allaprima.benchmarks.train import benchmark_train
from allaprima.errors import UserError
from allaprima.objective import check_objective

BENCHMARKS = {
    "train": benchmark_train,
    "networks": benchmark_networks,
    "optimize": benchmark_optimize,
    "scales": benchmark_scales,
    "infer": benchmark_infer,
    "quality": benchmark_quality,
}


def benchmark(config: DictConfig) -> None:
    """Run the benchmark that `configs/benchmark.yaml` names.

    Raises:
        UserError: an objective that cannot be, or an objective or network that the plain loop does not know.
    """
    check_objective(config)
    if config.loss.objective != "relative" or not config.loss.style_weight:
        raise UserError(
            "the plain loop knows the relative objective alone: leave out loss=, or change its weights only"
        )
    if config.network.name != "johnson":
        raise UserError("the plain loop knows Johnson's network alone: leave out network=, or change its size only")
    BENCHMARKS[config.benchmark.name](config)
