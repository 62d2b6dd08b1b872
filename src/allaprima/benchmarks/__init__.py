"""What the numbers in the README come from: each benchmark prints a table."""

from omegaconf import DictConfig

from allaprima.benchmarks.networks import benchmark_networks
from allaprima.benchmarks.optimize import benchmark_optimize
from allaprima.benchmarks.scales import benchmark_scales
from allaprima.benchmarks.train import benchmark_train

BENCHMARKS = {
    "train": benchmark_train,
    "networks": benchmark_networks,
    "optimize": benchmark_optimize,
    "scales": benchmark_scales,
}


def benchmark(config: DictConfig) -> None:
    """Run the benchmark that `configs/benchmark.yaml` names."""
    BENCHMARKS[config.benchmark.name](config)
