"""What a training run shows: sample sheets and the progress bar."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, TQDMProgressBar
from pytorch_lightning.loggers import WandbLogger
from torchvision.utils import make_grid

from allaprima.images import Picture, write_picture
from allaprima.training import StyleTransfer

ROWS = 8


class SampleSheet(Callback):
    """At every validation a picture of photo | pastiche per row, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Paint the validation photographs and write the sheet."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        photos = torch.cat([photos for (photos,) in trainer.val_dataloaders])[:ROWS].to(module.device)
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            pastiches = module.network(photos.contiguous(memory_format=torch.channels_last))
        rows = torch.stack([photos, pastiches.float()], 1).flatten(0, 1)
        path = self.folder / f"step_{trainer.global_step:06d}.png"
        write_picture(path, Picture(make_grid(rows, nrow=2, padding=4, pad_value=1).cpu(), None))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("samples", [str(path)], step=trainer.global_step)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with images a second in the place of its version number."""

    def get_metrics(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """What stands at the bar's end."""
        metrics = super().get_metrics(trainer, module)
        metrics.pop("v_num", None)
        rate = self.train_progress_bar.format_dict["rate"]
        if rate:
            metrics["images/s"] = f"{rate * trainer.datamodule.batch_size * trainer.world_size:.2f}"
        return metrics
