"""Training one network for one painting: the LightningModule."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.losses import PerceptualLoss, Terms
from allaprima.network_file import write_network

# What a checkpoint keeps of a run beside the weights.
COUNTS = ("images_seen", "skipped", "seconds", "validation")


class StyleTransfer(pl.LightningModule):
    """A network, the objective it is trained on, and how.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both.
        loss: the objective.
        metadata: what a checkpoint and the network's file say of themselves.
        settings: what else a run must have in common with the one that it resumes.
        learning_rate: Adam's, at its height.
        warmup_steps: over which it rises from nothing; then it falls along a cosine to nothing at the last step.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: PerceptualLoss,
        metadata: dict[str, Any],
        settings: dict[str, Any],
        learning_rate: float,
        warmup_steps: int,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.metadata, self.settings = network, loss, metadata, settings
        self.learning_rate, self.warmup_steps = learning_rate, warmup_steps
        self.images_seen, self.skipped, self.seconds = 0, 0, 0.0
        self.validation: dict[str, float] = {}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The network's parameters alone: the loss network is the same in every run."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the network's parameters."""
        return self.network.load_state_dict(state_dict, strict=strict, assign=assign)

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam with linear warm-up and cosine decay, step by step."""
        optimizer = torch.optim.Adam(self.network.parameters(), self.learning_rate)
        warmup = max(1, min(self.warmup_steps, self.trainer.max_steps - 1))
        schedule = torch.optim.lr_scheduler.SequentialLR(
            optimizer,
            [
                torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup),
                torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self.trainer.max_steps - warmup)),
            ],
            [warmup],
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Lay out weights as the convolutions want them, and give the loss network the type of the computation."""
        self.network.to(memory_format=torch.channels_last)
        if self.trainer.precision == "bf16-mixed":
            self.loss.vgg.features.to(torch.bfloat16)
        self.loss.vgg.to(memory_format=torch.channels_last)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.monotonic()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The objective of a batch of ((B, 3, H, W) in [0, 1], skipped counts)."""
        photos, skipped = batch
        terms = self._terms(photos)
        self.images_seen += len(photos) * self.trainer.world_size
        self.skipped += int(skipped.sum())
        self.log_dict({f"train/{name}": value for name, value in terms._asdict().items()})
        self.log("train/skipped_files", float(self.skipped))
        self.log("objective", terms.total, prog_bar=True, logger=False)
        return terms.total

    def on_train_batch_end(self, *_: Any) -> None:
        """Count the seconds of a step with its wait for data."""
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now

    def on_validation_end(self) -> None:
        """Leave validation out of the count."""
        self._clock = time.monotonic()

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        """The objective's terms on held-out photographs, (B, 3, H, W) in [0, 1]."""
        (photos,) = batch
        terms = self._terms(photos)
        self.log_dict({f"val/{name}": value for name, value in terms._asdict().items()}, batch_size=len(photos))

    def _terms(self, photos: Tensor) -> Terms:
        photos = photos.contiguous(memory_format=torch.channels_last)
        return self.loss(self.network(photos), self.loss.content_features(photos))

    def on_validation_epoch_end(self) -> None:
        """Keep the means for the network's file."""
        if not self.trainer.sanity_checking:
            means = self.trainer.callback_metrics
            if not means["val/total"].isfinite():
                raise UserError("the objective is no number any more: lower optimizer.learning_rate and start anew")
            self.validation = {
                name: round(float(means[f"val/{name}"]), 5) for name in ("total", "content", "style", "tv")
            }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the checkpoint is of, and the counts that a resumed run goes on from."""
        checkpoint["allaprima"] = self.metadata
        checkpoint["settings"] = self.settings
        checkpoint["counts"] = {name: getattr(self, name) for name in COUNTS}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counts up again."""
        for name, value in checkpoint["counts"].items():
            setattr(self, name, value)

    def write_network(self, path: Path) -> None:
        """Write the network as safetensors in half precision, with all that is needed to use and to judge it."""
        metadata = self.metadata | {
            "steps": self.trainer.global_step,
            "images_seen": self.images_seen,
            "seconds": round(self.seconds),
            "validation": self.validation,
        }
        write_network(path, self.network, metadata)
