"""Train one network for one painting: python scripts/train.py style=kandinsky."""

from omegaconf import DictConfig

from allaprima.command import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.training_run import train

    train(config)


if __name__ == "__main__":
    run("train", main)
