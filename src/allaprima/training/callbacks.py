"""What a training run shows: sample sheets and the progress bar."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.loggers import WandbLogger
from torchvision.utils import make_grid

from allaprima.media.images import Picture, write_picture
from allaprima.training.module import StyleTransfer

ROWS = 8


class SampleSheet(Callback):
    """At every validation a picture in `folder`: a row per photograph, itself and its pastiche for every code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Paint the validation photographs and write the sheet."""
        if not trainer.is_global_zero:
            return
        photos = torch.cat([photos for (photos,) in trainer.val_dataloaders])[:ROWS].to(module.device)
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            codes = module.ema.module.codes.flatten(0, 1)
            columns = [photos, *(module.ema(photos, code).float() for code in codes)]
        rows = torch.stack(columns, 1).flatten(0, 1)
        path = self.folder / f"step_{trainer.global_step:06d}.png"
        write_picture(path, Picture(make_grid(rows, nrow=len(columns), padding=4, pad_value=1).cpu(), None))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [str(path)], step=trainer.global_step)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with images a second in the place of its version number, and right after a resume too."""

    def on_train_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Begin the bar, and its clock, where the run stands."""
        super().on_train_start(trainer, *_)
        self.first_step = trainer.global_step
        self.started = time.monotonic()
        self.train_progress_bar.reset(trainer.max_steps)
        self.train_progress_bar.initial = self.train_progress_bar.n = trainer.global_step
        self.train_progress_bar.refresh()

    def get_metrics(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """What stands at the bar's end."""
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)
        images = (trainer.global_step - self.first_step) * trainer.datamodule.settings.batch_size * trainer.world_size
        metrics["images/s"] = f"{images / (time.monotonic() - self.started):.2f}"
        return metrics
