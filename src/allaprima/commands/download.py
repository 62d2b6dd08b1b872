"""COCO 2017 downloaded to a folder."""

from pathlib import Path

from omegaconf import DictConfig

from allaprima.data.coco import download


def download_coco(config: DictConfig) -> None:
    """Download COCO to `root`, or go on with it, as `configs/download.yaml` says. Raises UserError if it cannot."""
    download(Path(str(config.root)), config.server)
