"""Train one network for one painting: python scripts/train.py style=kandinsky."""

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.commands.train import train

    train(config)


if __name__ == "__main__":
    run("train", main)
