"""Training a network: the LightningModule."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from allaprima.data.photos import Batch
from allaprima.errors import UserError
from allaprima.losses.grid import grid_energy
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.stability import instability
from allaprima.networks.files import write_network
from allaprima.networks.metadata import Metadata, metadata_from
from allaprima.networks.multistyle import MultiStyle
from allaprima.training.content_weight import adjusted_weight, updated_mean

# What a checkpoint keeps of a run beside the weights.
COUNTS = ("images_seen", "skipped", "seconds", "validation")


class Optimizer(NamedTuple):
    """Adam's learning rate over the steps, and the moving average of the weights, which is validated and kept.

    Attributes:
        learning_rate: at its height.
        warmup_steps: over which it rises from nothing.
        decay_share: last part of the steps, 0 to 1, over which it falls along a cosine to nothing.
        ema_decay: of the moving average.
    """

    learning_rate: float
    warmup_steps: int
    decay_share: float
    ema_decay: float


class Teacher(NamedTuple):
    """A network of the same painting to learn from, see `load_teacher`.

    Attributes:
        network: photographs to pastiches, frozen.
        weight: of the mean squared distance from its pastiches beside the objective; None: in the objective's place,
            which takes a fifth of the time.
    """

    network: nn.Module
    weight: float | None


class StyleTransfer(pl.LightningModule):
    """A network, the objectives it is trained on, and how.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both; of several paintings a `MultiStyle`.
        losses: the objective towards each painting, by the painting's name.
        metadata: what a checkpoint and the network's file say of themselves.
        settings: what else a run must have in common with the one that it resumes, its seed among it.
        content_distance: at which training holds every painting's content term, see `adjusted_weight`; None leaves the
            content weights as they are.
        optimizer: how fast it learns.
        teacher: a network to learn from, beside the objective or in its place.
        grid_weight: of `grid_energy` beside the objective, for networks that paint whole cells at once.
        stability_weight: of `instability` beside the objective, for networks that paint videos.
    """

    def __init__(
        self,
        network: nn.Module,
        losses: Mapping[str, PerceptualLoss],
        metadata: Metadata,
        settings: dict[str, Any],
        content_distance: float | None,
        optimizer: Optimizer,
        teacher: Teacher | None = None,
        grid_weight: float = 0.0,
        stability_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.losses, self.metadata, self.settings = network, dict(losses), metadata, settings
        self.objectives = nn.ModuleList(losses.values())  # not by name: a painting's may have a dot, no module's
        self.styles = tuple(losses)
        self.content_distance = content_distance
        self.content_means: dict[str, float] = {}
        self.ema = AveragedModel(network, multi_avg_fn=moving_average(optimizer.ema_decay))
        self.ema.requires_grad_(False)
        self.teacher, self.teacher_weight = teacher.network if teacher else None, teacher.weight if teacher else None
        self.optimizer, self.grid_weight, self.stability_weight = optimizer, grid_weight, stability_weight
        self.images_seen, self.skipped, self.seconds = 0, 0, 0.0
        self.validation: dict[str, float] = {}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The network and its average alone: the loss network is the same in every run."""
        return self._trained().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the network and its average."""
        return self._trained().load_state_dict(state_dict, strict=strict, assign=assign)

    def _trained(self) -> nn.ModuleDict:
        return nn.ModuleDict({"network": self.network, "averaged": self.ema})

    def configure_optimizers(self) -> dict[str, Any]:
        """Adam, its rate as `rate_share` has it, step by step."""
        learning_rate, warmup, decay_share, _ = self.optimizer
        optimizer = torch.optim.Adam(self.network.parameters(), learning_rate)
        share = functools.partial(rate_share, steps=self.trainer.max_steps, warmup=warmup, decay_share=decay_share)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Lay out weights as the convolutions want them, and give the loss network the type of the computation."""
        self.to(memory_format=torch.channels_last)
        for loss in self.losses.values():
            loss.vgg.set_precision(self.trainer.precision)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.monotonic()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The objective of a batch, or its distance to what is taught."""
        photos = batch.photos
        # What is drawn here, like the samples, is a function of seed and step alone: a resumed run draws the same.
        seed = step_seed(self.settings["seed"], self.global_step, self.global_rank)
        torch.manual_seed(seed)
        # Circular padding has a seam, which the network can see: so it is anywhere but at the borders.
        shifts = torch.randint(photos.shape[-1], (2,)).tolist()
        photos = photos.roll(shifts, (2, 3))
        style = self.styles[self.global_step % len(self.styles)]
        torch.manual_seed(seed)
        pastiches = self.paint(self.network, photos, style, training=True)
        self.images_seen += len(photos) * self.trainer.world_size
        self.skipped += int(batch.skipped.sum())
        self.log("train/skipped_files", float(self.skipped))
        distance = self._distance_from_teacher(pastiches, photos, seed) if self.teacher else 0.0
        if self.teacher and self.teacher_weight is None:
            return distance
        terms = self.losses[style].between(pastiches, photos)
        logged = terms._asdict() | {"content_weight": self.losses[style].content_weight}
        self.log_dict({f"train/{name}": value for name, value in logged.items()})
        self.log("objective", terms.total, prog_bar=True, logger=False)
        if self.content_distance is not None and not self.teacher:  # whose own training has found the weight
            self._adjust_content_weight(style, self.all_gather(terms.content.detach()).mean().item())
        total = terms.total + (self.teacher_weight or 0) * distance
        if self.grid_weight:
            grid = grid_energy(pastiches).mean()
            self.log("train/grid", grid)
            total = total + self.grid_weight * grid
        if self.stability_weight:
            total = total + self.stability_weight * self._instability(photos, pastiches, style, seed)
        return total

    def _instability(self, photos: Tensor, pastiches: Tensor, style: str, seed: int) -> Tensor:
        def paint(shifted: Tensor) -> Tensor:
            torch.manual_seed(seed)
            return self.paint(self.network, shifted, style, training=True)

        unstable = instability(paint, photos, pastiches)
        self.log("train/instability", unstable)
        return unstable

    def _distance_from_teacher(self, pastiches: Tensor, photos: Tensor, seed: int) -> Tensor:
        torch.manual_seed(seed)  # the same input noise: what a network makes of it can then be learned too
        with torch.no_grad():
            taught = self.teacher(photos, training=True)
        distance = F.mse_loss(pastiches, taught)
        self.log("train/distance", distance)
        self.log("distance", distance, prog_bar=True, logger=False)
        return distance

    def paint(self, network: nn.Module, photos: Tensor, style: str, training: bool = False) -> Tensor:
        """Pastiches of photographs in the manner of one of the paintings; (B, 3, H, W) in [0, 1] both."""
        named = (style,) if isinstance(self.network, MultiStyle) else ()
        return network(photos, *named, training=training)

    def _adjust_content_weight(self, style: str, content: float) -> None:
        mean = self.content_means[style] = updated_mean(self.content_means.get(style, content), content)
        loss = self.losses[style]
        loss.content_weight = adjusted_weight(loss.content_weight, mean, self.content_distance)

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the weights into their average, and count the seconds of a step with its wait for data."""
        self.ema.update_parameters(self.network)
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now

    def on_validation_end(self) -> None:
        """Leave validation out of the count."""
        self._clock = time.monotonic()

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        """The objective's terms on held-out photographs, (B, 3, H, W) in [0, 1]."""
        (photos,) = batch
        for style in self.styles:
            terms = self.losses[style].between(self.paint(self.ema, photos, style), photos)
            self.log_dict({f"val/{name}": value for name, value in terms._asdict().items()}, batch_size=len(photos))

    def on_validation_epoch_end(self) -> None:
        """Keep the means for the network's file."""
        means = self.trainer.callback_metrics
        if not means["val/total"].isfinite():
            raise UserError("the objective is NaN or infinite: lower optimizer.learning_rate and start again")
        self.validation = {name: round(float(means[f"val/{name}"]), 5) for name in ("total", "content", "style", "tv")}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the checkpoint is of, and the counts that a resumed run goes on from."""
        checkpoint["allaprima"] = self.metadata.as_dict()
        checkpoint["settings"] = self.settings
        checkpoint["counts"] = {name: getattr(self, name) for name in COUNTS}
        checkpoint["content"] = {"weights": self.content_weights(), "means": self.content_means}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counts again, and what the network began with."""
        self.metadata = metadata_from(checkpoint["allaprima"])
        for name, value in checkpoint["counts"].items():
            setattr(self, name, value)
        self.content_means = checkpoint["content"]["means"]
        for style, weight in checkpoint["content"]["weights"].items():
            self.losses[style].content_weight = weight

    def content_weights(self) -> dict[str, float]:
        """The content weight towards each painting, where training has led it."""
        return {style: loss.content_weight for style, loss in self.losses.items()}

    def write_network(self, path: Path) -> None:
        """Write the averaged network in half precision, with all that is needed to use and to judge it."""
        # A folder's place is nobody else's business.
        data = {name: value for name, value in self.settings["data"].items() if name != "root"}
        metadata = dataclasses.replace(
            self.metadata,
            settings=self.settings | {"data": data},
            steps=self.trainer.global_step,
            images_seen=self.images_seen,
            seconds=round(self.seconds),
            validation=self.validation,
            content_weights=self.content_weights(),
        )
        write_network(path, self.ema.module, metadata)


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for what one step of a run draws on one device: 32 bits, which is all that PyTorch's generator takes."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])


def rate_share(step: int, steps: int, warmup: int, decay_share: float) -> float:
    """Share of the learning rate at a step, from 0: a linear rise, a plateau, and half a cosine down to nothing."""
    if step < warmup:
        return (step + 1) / warmup
    left = (steps - step) / max(1, decay_share * steps)
    return 0.5 * (1 - math.cos(math.pi * min(1, left)))


def moving_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """An exponential moving average, which at first spans fewer steps: the start is forgotten soon."""

    def update(averaged: list[Tensor], current: list[Tensor], steps: Tensor) -> None:
        done = steps.item()
        get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averaged, current, steps)

    return update
