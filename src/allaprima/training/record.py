"""What a run knows of itself: it goes into every checkpoint, and at the end into the network's file."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from allaprima.data.photos import Batch
from allaprima.errors import UserError
from allaprima.networks.files import write_network
from allaprima.networks.metadata import Metadata, metadata_from
from allaprima.training.module import StyleTransfer

COUNTS = ("images_seen", "skipped", "seconds", "validation")


class RunRecord(Callback):
    """Counts what a run does, and keeps what is said of it: its metadata, and the settings of a run to resume."""

    def __init__(self, metadata: Metadata, settings: dict[str, Any]) -> None:
        self.metadata = metadata
        self.settings = settings
        self.images_seen = 0
        self.skipped = 0
        self.seconds = 0.0
        self.validation: dict[str, float] = {}

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._clock = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: StyleTransfer, _: Any, batch: Batch, *__: Any) -> None:
        """Count photographs, and the seconds of a step with its wait for data."""
        self.images_seen += len(batch.photos) * trainer.world_size
        self.skipped += int(batch.skipped.sum())
        module.log("train/skipped_files", float(self.skipped))
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Keep the terms. Raises UserError where the objective is no number."""
        means = trainer.callback_metrics
        if not means["val/total"].isfinite():
            raise UserError("the objective is NaN or infinite: lower optimizer.learning_rate and start again")
        self.validation = {name: round(float(means[f"val/{name}"]), 5) for name in ("total", "content", "style", "tv")}

    def on_validation_end(self, *_: Any) -> None:
        """Leave validation out of the count."""
        self._clock = time.monotonic()

    def on_save_checkpoint(self, trainer: pl.Trainer, module: StyleTransfer, checkpoint: dict[str, Any]) -> None:
        """Add what is said of the run, and the counts that a resumed run goes on from."""
        checkpoint["allaprima"] = self.metadata.as_dict()
        checkpoint["settings"] = self.settings
        checkpoint["counts"] = {name: getattr(self, name) for name in COUNTS}
        checkpoint["content"] = module.objective.content_state()

    def on_load_checkpoint(self, trainer: pl.Trainer, module: StyleTransfer, checkpoint: dict[str, Any]) -> None:
        """Take up the counts again, and what the network began with."""
        self.metadata = metadata_from(checkpoint["allaprima"])
        for name, value in checkpoint["counts"].items():
            setattr(self, name, value)
        module.objective.load_content_state(checkpoint["content"])

    def write_network(self, path: Path, module: StyleTransfer) -> None:
        """Write the averaged network in half precision, with all that is needed to use and to judge it."""
        # A folder's place is nobody else's business.
        data = {name: value for name, value in self.settings["data"].items() if name != "root"}
        metadata = dataclasses.replace(
            self.metadata,
            settings=self.settings | {"data": data},
            steps=module.trainer.global_step,
            images_seen=self.images_seen,
            seconds=round(self.seconds),
            validation=self.validation,
            content_weights=module.objective.content_weights,
        )
        write_network(path, module.ema.module, metadata)
