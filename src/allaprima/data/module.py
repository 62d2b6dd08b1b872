"""The data module: a run's photographs as batches."""

import os
import re
import signal
import tempfile
from dataclasses import dataclass
from typing import Annotated

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from allaprima.data.photos import MOST_SKIPS, StepBatches, TrainingSamples, readable, validation_squares
from allaprima.data.sources import SOURCES, find_source
from allaprima.errors import UserError
from allaprima.limits import NonNegativeInt, PositiveInt, Side, Text, UnitInterval, at_most, one_of

LARGEST_STEP = 64  # megapixels
# Bytes of the folder's path: a socket's may have 107, and Python appends 32.
LONGEST_FOLDER = 75
WAIT_SECONDS = 600  # for a photograph: a process that can pass nothing on does not say so


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What a run is trained and validated on."""

    source: Annotated[Text, one_of(SOURCES)] = "starter"  # a name in `SOURCES`
    root: Text | None = None  # the folder, for `folder` and `coco`
    leaves_share: UnitInterval = 0.5  # which part of the training samples are dead-leaves pictures
    size: Side = 384  # pixels a side in training
    validation_size: Side = 384  # pixels a side in validation
    validation_photos: PositiveInt = 16  # photographs in validation at most
    batch_size: PositiveInt = 1  # photographs a step, per device
    workers: Annotated[NonNegativeInt, at_most(256, "each is a process")] = 1  # processes that prepare them

    def __post_init__(self) -> None:
        megapixels = self.batch_size * self.size**2 / 1e6
        if megapixels > LARGEST_STEP:
            raise ValueError(
                f"data.batch_size={self.batch_size} at data.size={self.size} are {megapixels:.0f} megapixels a step: "
                f"give {LARGEST_STEP} or less, as no memory holds the loss network's layers for more"
            )


class PhotoDataModule(pl.LightningDataModule):
    """Training samples in the order of their numbers, and the validation squares.

    Raises UserError where photographs cannot be found or read, or `TMPDIR` is too long.
    """

    def __init__(self, settings: DataSettings, seed: int) -> None:
        super().__init__()
        self.settings = settings
        self.seed = seed
        folder = tempfile.gettempdir()
        if settings.workers and len(os.fsencode(folder)) > LONGEST_FOLDER:  # for which Python would wait without a word
            raise UserError(f"TMPDIR={folder} is too long a path for sockets: set TMPDIR=/tmp, or data.workers=0")
        self.photos, held_out = find_source(settings.source, settings.root)
        if not self.photos and settings.leaves_share < 1:
            raise UserError(f"data.source={settings.source} has no photographs: set data.leaves_share=1")
        if self.photos:
            next(readable(self.photos[:MOST_SKIPS], quiet=True))  # before a run starts on nothing
        held_out = held_out[: settings.validation_photos]
        self.validation = validation_squares(held_out, settings.validation_size)
        if unreadable := len(held_out) - len(self.validation):
            print(f"{unreadable} of {len(held_out)} validation photographs cannot be read and are left out")

    def train_dataloader(self) -> DataLoader:
        """`Batch`es from where the run stands to its last step."""
        trainer = self.trainer
        return self.batches(trainer.global_step, trainer.max_steps, trainer.global_rank, trainer.world_size)

    def batches(self, done: int, steps: int, rank: int = 0, devices: int = 1) -> DataLoader:
        """Batches of the steps `done` to `steps` for one of several devices, see `StepBatches`."""
        settings = self.settings
        return DataLoader(
            TrainingSamples(self.photos, settings.leaves_share, settings.size, self.seed),
            batch_sampler=StepBatches(done, steps, settings.batch_size, rank, devices),
            num_workers=settings.workers,
            prefetch_factor=4 if settings.workers else None,
            timeout=WAIT_SECONDS if settings.workers else 0,
            worker_init_fn=ignore_signals,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor]]:
        """Batches of ((B, 3, validation_size, validation_size),)."""
        return DataLoader(TensorDataset(self.validation), self.settings.batch_size)


def ignore_signals(_: int) -> None:
    """Let the process that trains answer Ctrl-C and SIGTERM, which reach its whole group, and end this one."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)


def passing_failure(error: BaseException) -> str | None:
    """Why processes cannot pass on the photographs that they prepare; None for an error of another kind."""
    lines = str(error).strip().splitlines()
    if not isinstance(error, RuntimeError) or not lines:
        return None
    if lines[0].startswith("DataLoader"):  # one has died, or is not heard of
        return lines[0]
    shared = re.search(r"</torch_\w+>.*?: (.*)", lines[-1])  # PyTorch's name of a piece of the memory that they share
    return f"no room in the memory that processes share, /dev/shm: {shared[1]}" if shared else None
