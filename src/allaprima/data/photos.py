"""Photographs as training samples (random scale, crop and flip) and as a validation set (always the same squares)."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from allaprima.data.leaves import draw_leaves
from allaprima.errors import FileError, UserError
from allaprima.media.images import flattened, open_upright, to_tensor

SMALLEST_CROP = 0.4  # of the photograph's short side
MOST_SKIPS = 100  # unreadable photographs in a row for one sample


def readable(photos: Sequence[Path], quiet: bool = False) -> Iterator[Path]:
    """Those photographs that can be read; the others are named on stderr. Raises UserError if there are none."""
    found = False
    for photo in photos:
        try:
            open_upright(photo)
        except FileError as error:
            if not quiet:
                print(f"passed over: {error}", file=sys.stderr)
        else:
            found = True
            yield photo
    if not found:
        first = f", {photos[0]} the first of them" if photos else ""
        raise UserError(f"none of {len(photos)} photographs can be read{first}: name a folder of others")


def random_square(rng: Generator, photo: Image.Image, size: int) -> Image.Image:
    """A square of random scale and place, flipped or not, at size x size pixels."""
    short = min(photo.size)
    side = rng.uniform(max(SMALLEST_CROP * short, min(size, short)), short)
    left = rng.uniform(0, photo.width - side)
    top = rng.uniform(0, photo.height - side)
    box = left, top, left + side, top + side
    square = photo.resize((size, size), Image.Resampling.BICUBIC, box, reducing_gap=3.0)
    return ImageOps.mirror(square) if rng.random() < 0.5 else square


class Batch(NamedTuple):
    """What a training step takes; a single sample is the same without the first dimension."""

    photos: Tensor  # (B, 3, size, size) in [0, 1]
    skipped: Tensor | int  # (B,), how many unreadable photographs were passed over to find each


@dataclass(eq=False)
class TrainingSamples(Dataset):
    """Sample i is a function of the seed and i alone, so a resumed run sees what an uninterrupted one would."""

    # Files to draw from; without leaves, all of them before one comes again. May be empty if `leaves_share` is 1.
    photos: Sequence[Path]
    leaves_share: float  # which part of the samples, 0 to 1, are dead-leaves pictures
    size: int  # pixels a side
    seed: int  # of the run

    def __getitem__(self, index: int) -> Batch:
        """A sample. Raises FileError where there are no photographs to be read."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < self.leaves_share:
            return Batch(to_tensor(draw_leaves(rng, self.size)), 0)
        epoch, place = divmod(index, len(self.photos))
        path = self.photos[np.random.default_rng((self.seed, epoch)).permutation(len(self.photos))[place]]
        for skipped in range(MOST_SKIPS):
            try:
                photo = flattened(open_upright(path, shortest=2 * self.size))
            except FileError:
                path = self.photos[rng.integers(len(self.photos))]
                continue
            return Batch(to_tensor(random_square(rng, photo, self.size)), skipped)
        raise FileError(f"{MOST_SKIPS} photographs in a row could not be read, {path} the last of them")


@dataclass(eq=False)
class StepBatches(Sampler[list[int]]):
    """Which samples belong to each step, from where a run stands to its end."""

    done: int  # steps that the run has behind it
    steps: int  # steps of the whole run
    batch_size: int  # samples a step on each device
    rank: int  # number of this device
    devices: int  # how many there are

    def __len__(self) -> int:
        return self.steps  # of the whole run: Lightning counts the steps that are done among them

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.done, self.steps):
            start = (step * self.devices + self.rank) * self.batch_size
            yield list(range(start, start + self.batch_size))


def validation_squares(photos: Sequence[Path], size: int) -> Tensor:
    """The centre squares of those photographs that can be read, (N, 3, size, size) in [0, 1]; see `readable`."""
    squares = []
    for path in readable(photos, quiet=True):
        photo = flattened(open_upright(path, shortest=size))
        squares.append(to_tensor(ImageOps.fit(photo, (size, size), Image.Resampling.BICUBIC)))
    return torch.stack(squares)
