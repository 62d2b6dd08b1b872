"""Paint pictures with a trained network: python scripts/infer.py input=PHOTO."""

import hydra
from omegaconf import DictConfig

from allaprima.command import run


@hydra.main(version_base="1.3", config_path="../configs", config_name="infer")
def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.painting import paint_files

    paint_files(config)


if __name__ == "__main__":
    run(main)
