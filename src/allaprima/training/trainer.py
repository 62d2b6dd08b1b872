"""Lightning's trainer as this project uses it."""

import io
import logging
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from pydantic import Field
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from allaprima.errors import UserError, choice_advice
from allaprima.hardware import fastest_precision
from allaprima.limits import PositiveInt, Text, at_most
from allaprima.media.files import write_atomically
from allaprima.training.callbacks import ProgressBar, SampleSheet
from allaprima.training.processes import cluster_environment

MOST_PROCESSES = 64
WANDB_MODES = ("online", "offline", "disabled")


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """Lightning's trainer: on what it computes, how long, and how often it validates."""

    accelerator: Literal["cpu", "gpu"] = "cpu"  # Lightning's, as devices and strategy; -1 device is all of them
    devices: Annotated[int, Field(ge=-1), at_most(MOST_PROCESSES, "each is a process")] = 1
    # Lightning's, or `auto`, see `fastest_precision`.
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    max_steps: PositiveInt = 500  # that one device alone would take; several share them
    val_every: PositiveInt = 50  # steps between validations
    strategy: Literal["ddp"] | None = None

    def check_devices(self) -> None:
        """Raises UserError for devices that are not here."""
        if self.accelerator == "gpu" and not torch.cuda.is_available():
            raise UserError("trainer=gpu and trainer=ddp need a GPU that PyTorch can use: here, take trainer=cpu")
        limit = torch.cuda.device_count() if self.accelerator == "gpu" else math.inf
        if not 1 <= self.devices <= limit and (self.devices != -1 or self.accelerator == "cpu"):
            raise UserError(f"trainer.devices={self.devices}: give a number of devices that are here")
        if self.accelerator == "cpu" and self.precision == "16-mixed":  # for which Lightning would take another
            raise UserError("trainer.precision=16-mixed needs a GPU: take bf16-mixed, 32-true or auto")

    def steps(self) -> int:
        """Steps of a run, in each of which every device takes a batch."""
        devices = torch.cuda.device_count() if self.devices == -1 else self.devices
        return math.ceil(self.max_steps / devices)

    def chosen_precision(self) -> str:
        """The dtype of the computation, as Lightning calls it."""
        return fastest_precision(self.accelerator) if self.precision == "auto" else self.precision


@dataclass(frozen=True, kw_only=True)
class LoggerSettings:
    """Where a run is logged: to CSV files, to Weights and Biases in the project of that name, or to both."""

    csv: bool = True
    wandb: bool = False
    project: Text = "allaprima"


def quiet_lightning() -> None:
    """Leave of Lightning's notices those that a user of this project can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    notices = (
        "Found .* module.s. in eval mode",
        "The '.*dataloader' does not have many workers",
        "The number of training batches",
        "Consider setting `persistent_workers=True`",
        "You're resuming from a checkpoint that ended before the epoch ended",
        ".*treespec",
        "Checkpoint directory .* exists and is not empty",
        "It is recommended to use .*sync_dist=True",  # every process validates the same photographs
    )
    for notice in notices:
        warnings.filterwarnings("ignore", notice)


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own pass through the system's folder for temporary files, which need not be on the same disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises FileError where that is not possible."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


def make_trainer(
    settings: TrainerSettings, folder: Path, loggers: list[Logger], callbacks: Sequence[Callback]
) -> pl.Trainer:
    """Lightning's trainer with this project's checkpoints and pictures below a run's folder; see `make_loggers`."""
    # Saved after each validation, so that one that was interrupted is done again.
    checkpoints = ModelCheckpoint(
        folder / "checkpoints",
        "step_{step:06d}",
        auto_insert_metric_name=False,
        every_n_epochs=1,
        save_on_train_epoch_end=False,
        save_last=True,
        enable_version_counter=False,
    )
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy or "auto",
        precision=settings.chosen_precision(),
        max_steps=settings.steps(),
        max_epochs=-1,
        val_check_interval=settings.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        benchmark=settings.accelerator == "gpu",
        plugins=[WholeCheckpoints(), cluster_environment(settings.strategy)],
        enable_model_summary=False,
        use_distributed_sampler=False,
        logger=loggers,
        callbacks=[*callbacks, checkpoints, SampleSheet(folder / "samples"), ProgressBar()],
    )


def make_loggers(settings: LoggerSettings, folder: Path, style: str) -> list[Logger]:
    """The logs asked for, below `folder`. Raises UserError where Weights and Biases refuses."""
    loggers: list[Logger] = []
    if settings.csv:
        # A CSV logger empties the folder that it is given, so a resumed run gets one of its own.
        loggers.append(CSVLogger(folder, "log", datetime.now().strftime("%Y-%m-%d_%H-%M-%S")))
    if settings.wandb and (mode := wandb_mode()) != "disabled":
        logger = WandbLogger(folder.name, folder, mode=mode, project=settings.project, group=style)
        logger._wandb_init.pop("anonymous", None)  # which wandb says it ignores, whatever its value
        loggers.append(logger)
    return loggers


def wandb_mode() -> str:
    """As WANDB_MODE says, or else online where there is a key. Raises UserError where Weights and Biases refuses."""
    from wandb import errors, login

    mode = os.environ.get("WANDB_MODE") or "online"
    if mode not in WANDB_MODES:
        raise UserError(f"WANDB_MODE={mode}: {choice_advice(mode, WANDB_MODES)}")
    if mode != "online":
        return mode
    try:
        return "online" if login(prompt=False) else "offline"
    except errors.Error as error:
        raise UserError(f"Weights and Biases refused: {error}; WANDB_MODE=offline does without it") from error
