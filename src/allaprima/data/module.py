"""The DataModule: where a run's photographs come from, as `configs/data` chooses."""

from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from allaprima.data import coco
from allaprima.data.photos import (
    STARTER_TRAINING,
    STARTER_VALIDATION,
    StepBatches,
    TrainingSamples,
    check_readable,
    find_photos,
    packaged_photos,
    validation_squares,
)
from allaprima.errors import UserError

Photos = tuple[list[Path], list[Path]]


def starter(root: str | None) -> Photos:
    """Photographs that come with installed packages."""
    refuse_folder("starter", root)
    return packaged_photos(STARTER_TRAINING), packaged_photos(STARTER_VALIDATION)


def leaves(root: str | None) -> Photos:
    """None to train on: every picture is drawn."""
    refuse_folder("leaves", root)
    return [], packaged_photos(STARTER_VALIDATION)


def folder(root: str | None) -> Photos:
    """All photographs below a folder."""
    return find_photos(needed("folder", root)), packaged_photos(STARTER_VALIDATION)


def coco_2017(root: str | None) -> Photos:
    """COCO 2017's, as it divides them."""
    return coco.photos(needed("coco", root))


def refuse_folder(source: str, root: str | None) -> None:
    """Raises UserError if a source that has its own photographs is given a folder."""
    if root is not None:
        raise UserError(f"data={source} takes no folder: use data.root with data=folder or data=coco")


def needed(source: str, root: str | None) -> Path:
    """The folder of a source that needs one. Raises UserError if none is given."""
    if root is None:
        raise UserError(f"data={source} needs a folder: add data.root=PATH")
    return Path(str(root))


# Where photographs come from: to train on, and to validate on, by `data.source` and the folder `data.root`.
SOURCES: dict[str, Callable[[str | None], Photos]] = {
    "starter": starter,
    "leaves": leaves,
    "folder": folder,
    "coco": coco_2017,
}


class Photographs(pl.LightningDataModule):
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
        UserError: no such source, no such folder, nothing in it that can be read, or not COCO.
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
        return DataLoader(samples, batch_sampler=batches, num_workers=self.workers, prefetch_factor=prefetch)

    def val_dataloader(self) -> DataLoader[tuple[Tensor]]:
        """Batches of ((B, 3, validation_size, validation_size),)."""
        return DataLoader(TensorDataset(self.validation), self.batch_size)
