"""Measure what the README claims: python scripts/benchmark.py train."""

import sys

import hydra
from omegaconf import DictConfig

from allaprima.command import run


@hydra.main(version_base="1.3", config_path="../configs", config_name="benchmark")
def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.benchmarks.train import benchmark_train

    benchmark_train(config)


if __name__ == "__main__":
    # The benchmark's name stands alone, as a subcommand does; for Hydra it is a choice like any other.
    sys.argv[1:2] = [
        f"benchmark={name}" if "=" not in name and not name.startswith("-") else name for name in sys.argv[1:2]
    ]
    run(main)
