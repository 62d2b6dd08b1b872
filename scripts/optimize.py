"""Paint one picture the slow way, without a network: python scripts/optimize.py content=PHOTO style=kandinsky."""

from omegaconf import DictConfig

from allaprima.command import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.optimizer_run import optimize_file

    optimize_file(config)


if __name__ == "__main__":
    run("optimize", main)
