"""Compare a network with the optimizer on the same objective: python scripts/compare.py style=kandinsky."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.compare import compare

    compare(config)


if __name__ == "__main__":
    run("compare", main)
