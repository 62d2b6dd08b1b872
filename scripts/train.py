"""Train one network for one painting: python scripts/train.py style=kandinsky."""

import hydra
from omegaconf import DictConfig

from allaprima.command import run


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.run import train

    train(config)


if __name__ == "__main__":
    run(main)
