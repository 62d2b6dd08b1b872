"""Paint one picture the slow way, without a network: python scripts/optimize.py content=PHOTO style=kandinsky."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.optimize import optimize_file

    optimize_file(config)


if __name__ == "__main__":
    run("optimize", main)
