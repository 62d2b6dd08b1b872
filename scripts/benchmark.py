"""Measure what the README claims: python scripts/benchmark.py train."""

import sys

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.benchmarks import benchmark

    benchmark(config)


if __name__ == "__main__":
    # The benchmark's name stands alone, as a subcommand does; for Hydra it is a choice like any other.
    if len(sys.argv) > 1 and "=" not in sys.argv[1] and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"benchmark={sys.argv[1]}"
    run("benchmark", main)
