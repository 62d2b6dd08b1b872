"""The DataModule: a run's photographs as batches."""

import os
import signal
import tempfile

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from allaprima.data.photos import (
    StepBatches,
    TrainingSamples,
    check_readable,
    validation_squares,
)
from allaprima.data.sources import SOURCES
from allaprima.errors import UserError

# Bytes of the folder's path: a socket's may have 107, and Python appends 32.
LONGEST_FOLDER = 75
WAIT_SECONDS = 600  # for a photograph: a process that can pass nothing on does not say so


class PhotoDataModule(pl.LightningDataModule):
    """Training samples in the order of their numbers, and the validation squares.

    Args:
        source: a name in `SOURCES`.
        root: the folder, for `folder` and `coco`.
        leaves_share: which part of the training samples are dead-leaves pictures.
        size: pixels a side in training.
        validation_size: pixels a side in validation.
        validation_photos: at most so many photographs are validated on.
        batch_size: photographs a step, per device.
        workers: processes that prepare them.
        seed: of the run.

    Raises:
        UserError: no such source, no such folder, nothing in it that can be read, or not COCO; or `TMPDIR` is too long.
    """

    def __init__(
        self,
        source: str,
        root: str | None,
        leaves_share: float,
        size: int,
        validation_size: int,
        validation_photos: int,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.leaves_share, self.size, self.batch_size, self.workers = leaves_share, size, batch_size, workers
        self.seed = seed
        if workers:
            check_temporary_folder()
        if source not in SOURCES:
            raise UserError(f"data.source={source}: take one of {', '.join(SOURCES)}")
        self.photos, held_out = SOURCES[source](root)
        if not self.photos and leaves_share < 1:
            raise UserError(f"data.source={source} has no photographs: set data.leaves_share=1")
        if self.photos:
            check_readable(self.photos)
        held_out = held_out[:validation_photos]
        self.validation = validation_squares(held_out, validation_size)
        if unreadable := len(held_out) - len(self.validation):
            print(f"{unreadable} of {len(held_out)} validation photographs cannot be read and are left out")

    def train_dataloader(self) -> DataLoader:
        """`Batch`es from where the run stands to its last step."""
        trainer = self.trainer
        return self.batches(trainer.global_step, trainer.max_steps, trainer.global_rank, trainer.world_size)

    def batches(self, done: int, steps: int, rank: int = 0, devices: int = 1) -> DataLoader:
        """The same for any run, see `StepBatches`."""
        samples = TrainingSamples(self.photos, self.leaves_share, self.size, self.seed)
        batches = StepBatches(done, steps, self.batch_size, rank, devices)
        prefetch = 4 if self.workers else None
        return DataLoader(
            samples,
            batch_sampler=batches,
            num_workers=self.workers,
            prefetch_factor=prefetch,
            timeout=WAIT_SECONDS if self.workers else 0,
            worker_init_fn=ignore_signals,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor]]:
        """Batches of ((B, 3, validation_size, validation_size),)."""
        return DataLoader(TensorDataset(self.validation), self.batch_size)


def check_temporary_folder() -> None:
    """Raises UserError where processes could not pass on photographs, which Python never says to who waits for them."""
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > LONGEST_FOLDER:
        raise UserError(f"TMPDIR={folder} is too long a path for the sockets in it: set TMPDIR=/tmp, or data.workers=0")


def ignore_signals(_: int) -> None:
    """Let the process that trains answer Ctrl-C and SIGTERM, which reach its whole group, and end this one."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
