"""Lightning's trainer as this project uses it."""

import logging
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

from allaprima.errors import UserError
from allaprima.training.callbacks import ProgressBar, SampleSheet
from allaprima.training.checkpoints import WholeCheckpoints


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
    )
    for notice in notices:
        warnings.filterwarnings("ignore", notice)


def make_trainer(
    settings: dict[str, Any], folder: Path, loggers: list[Logger], callbacks: Sequence[Callback]
) -> pl.Trainer:
    """Lightning's trainer with this project's checkpoints and pictures below `folder`.

    Args:
        settings: the trainer's own, and `val_every`, the steps between validations.
        folder: of the run.
        loggers: see `make_loggers`.
        callbacks: beside those of every run.
    """
    every = settings["val_every"]
    own = {name: value for name, value in settings.items() if name != "val_every"}
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
        **own,
        max_epochs=-1,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        benchmark=settings["accelerator"] == "gpu",
        plugins=WholeCheckpoints(),
        enable_model_summary=False,
        use_distributed_sampler=False,
        logger=loggers,
        callbacks=[*callbacks, checkpoints, SampleSheet(folder / "samples"), ProgressBar()],
    )


def make_loggers(csv: bool, wandb: bool, project: str, folder: Path, style: str) -> list[Logger]:
    """The logs asked for, below `folder`; Weights and Biases stays offline where there is no key.

    Raises:
        UserError: Weights and Biases refuses.
    """
    loggers: list[Logger] = []
    if csv:
        # A CSV logger empties the folder that it is given, so a resumed run gets one of its own.
        loggers.append(CSVLogger(folder, "log", datetime.now().strftime("%Y-%m-%d_%H-%M-%S")))
    if wandb:
        from wandb import errors, login

        try:
            mode = "online" if login(prompt=False) else "offline"
        except errors.Error as error:
            raise UserError(f"Weights and Biases refused: {error}; WANDB_MODE=offline does without it") from error
        loggers.append(WandbLogger(folder.name, folder, mode=mode, project=project, group=style))
    return loggers
