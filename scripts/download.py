"""Download COCO 2017, or go on with it: python scripts/download.py root=data/coco."""

import hydra
from omegaconf import DictConfig

from allaprima.command import run


@hydra.main(version_base="1.3", config_path="../configs", config_name="download")
def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from pathlib import Path

    from allaprima.data.coco import download

    download(Path(config.root), config.server)


if __name__ == "__main__":
    run(main)
