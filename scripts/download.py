"""Download COCO 2017, or go on with it: python scripts/download.py root=data/coco."""

from pathlib import Path

from omegaconf import DictConfig

from allaprima.cli import run


def main(config: DictConfig) -> None:
    """Import late: a wrong option should not wait for PyTorch."""
    from allaprima.data.coco import download

    download(Path(str(config.root)), config.server)


if __name__ == "__main__":
    run("download", main)
