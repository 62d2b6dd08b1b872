"""COCO 2017 downloaded to a folder."""

from pathlib import Path

from omegaconf import DictConfig

from allaprima.commands.settings import Settings
from allaprima.data.coco import download
from allaprima.limits import Text


class DownloadSettings(Settings):
    """`configs/download.yaml`."""

    root: Text
    server: Text


def download_coco(config: DictConfig) -> None:
    """Download COCO to `root`, or go on with it, as `configs/download.yaml` says. Raises UserError if it cannot."""
    settings = DownloadSettings.read(config)
    download(Path(settings.root), settings.server)
