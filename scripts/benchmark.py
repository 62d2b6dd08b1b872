"""Measure what the documents claim: python scripts/benchmark.py train."""

from allaprima.cli import run

if __name__ == "__main__":
    run("benchmark")
