"""Measure what the documents claim: python scripts/benchmark.py train."""

import sys
from pathlib import Path

from allaprima.cli import run

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the package `benchmarks`

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0].isidentifier():  # the benchmark's name stands alone, as a subcommand does
        arguments[0] = f"benchmark={arguments[0]}"
    run("benchmark", arguments, "benchmarks:benchmark")
