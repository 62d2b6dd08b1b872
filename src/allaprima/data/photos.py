"""Photographs as training samples (random scale, crop and flip) and as a validation set (always the same squares)."""

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from allaprima.data.leaves import draw_leaves
from allaprima.errors import FileError, UserError
from allaprima.media.images import READ_SUFFIXES, open_upright, to_tensor

# Photographs that come with scikit-image and scikit-learn. What is validated on is never trained on.
STARTER_TRAINING = (
    "skimage/data/rocket.jpg",
    "skimage/data/motorcycle_left.png",
    "skimage/data/motorcycle_right.png",
    "skimage/data/camera.png",
    "skimage/data/coins.png",
    "skimage/data/brick.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/hubble_deep_field.jpg",
    "sklearn/datasets/images/flower.jpg",
)
STARTER_VALIDATION = (
    "skimage/data/chelsea.png",
    "skimage/data/astronaut.png",
    "skimage/data/coffee.png",
    "sklearn/datasets/images/china.jpg",
)
SMALLEST_CROP = 0.4  # of the photograph's short side
MOST_SKIPS = 100  # unreadable photographs in a row for one sample


def packaged_photos(names: Sequence[str]) -> list[Path]:
    """Paths of photographs in installed packages, given as `package/path`."""
    return [Path(str(files(package).joinpath(path))) for package, path in (name.split("/", 1) for name in names)]


def refuse_unreadable(error: OSError) -> NoReturn:
    """Raises UserError for a folder that may not be read: half of the photographs would be missed in silence."""
    raise UserError(f"no permission to read the folder {error.filename}") from error


def find_photos(root: Path) -> list[Path]:
    """All picture files below a folder, sorted by path.

    Raises:
        UserError: there is no such folder, none in it, or a folder in it that may not be read.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name a folder of photographs")
    # Not rglob, which passes over what it may not read.
    places = (Path(folder, name) for folder, _, names in os.walk(root, onerror=refuse_unreadable) for name in names)
    photos = sorted(path for path in places if path.suffix.lower() in READ_SUFFIXES and path.is_file())
    if not photos:
        raise UserError(f"{root} holds no pictures ({', '.join(sorted(READ_SUFFIXES))}): name a folder that does")
    return photos


def held_out_photos(folder: str | None) -> list[Path]:
    """The photographs of a folder to judge networks on, or those packaged ones that are never trained on."""
    return find_photos(Path(str(folder))) if folder else packaged_photos(STARTER_VALIDATION)


def check_readable(photos: Sequence[Path]) -> None:
    """Raises UserError if none of the first photographs can be read, before a run starts on nothing."""
    for path in photos[:MOST_SKIPS]:
        try:
            open_upright(path)
        except FileError:
            continue
        return
    raise UserError(f"none of the first {len(photos[:MOST_SKIPS])} photographs can be read, {photos[0]} among them")


def readable(photos: Sequence[Path]) -> list[Path]:
    """Those photographs that can be read; the others are named on stderr. Raises UserError if there are none."""
    found = []
    for photo in photos:
        try:
            open_upright(photo)
        except FileError as error:
            print(f"passed over: {error}", file=sys.stderr)
        else:
            found.append(photo)
    if not found:
        first = f", {photos[0]} the first of them" if photos else ""
        raise UserError(f"none of {len(photos)} photographs can be read{first}: name a folder of others")
    return found


def random_square(rng: Generator, photo: Image.Image, size: int) -> Image.Image:
    """A square of random scale and place, flipped or not, at size x size pixels."""
    short = min(photo.size)
    side = rng.uniform(max(SMALLEST_CROP * short, min(size, short)), short)
    left, top = rng.uniform(0, photo.width - side), rng.uniform(0, photo.height - side)
    square = photo.resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side), reducing_gap=3.0
    )
    return ImageOps.mirror(square) if rng.random() < 0.5 else square


class Batch(NamedTuple):
    """What a training step takes; a single sample is the same without the first dimension.

    Attributes:
        photos: (B, 3, size, size) in [0, 1].
        skipped: (B,), how many unreadable photographs were passed over to find each.
    """

    photos: Tensor
    skipped: Tensor | int


class TrainingSamples(Dataset):
    """Sample i is a function of the seed and i alone, so a resumed run sees what an uninterrupted one would.

    Args:
        photos: files to draw from; without leaves, all of them before one comes again. May be empty if `leaves_share`
            is 1.
        leaves_share: which part of the samples, 0 to 1, are dead-leaves pictures.
        size: pixels a side.
        seed: of the run.
    """

    def __init__(self, photos: Sequence[Path], leaves_share: float, size: int, seed: int) -> None:
        self.photos, self.leaves_share, self.size, self.seed = photos, leaves_share, size, seed

    def __getitem__(self, index: int) -> Batch:
        """A sample. Raises FileError where there are no photographs to be read."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < self.leaves_share:
            return Batch(to_tensor(draw_leaves(rng, self.size)), 0)
        epoch, place = divmod(index, len(self.photos))
        path = self.photos[np.random.default_rng((self.seed, epoch)).permutation(len(self.photos))[place]]
        for skipped in range(MOST_SKIPS):
            try:
                photo = open_upright(path, shortest=2 * self.size).convert("RGB")
            except FileError:
                path = self.photos[rng.integers(len(self.photos))]
                continue
            return Batch(to_tensor(random_square(rng, photo, self.size)), skipped)
        raise FileError(f"{MOST_SKIPS} photographs in a row could not be read, {path} the last of them")


class StepBatches(Sampler[list[int]]):
    """Which samples belong to each step, from where a run stands to its end.

    Args:
        done: steps that the run has behind it.
        steps: steps of the whole run.
        batch_size: samples a step on each device.
        rank: number of this device.
        devices: how many there are.
    """

    def __init__(self, done: int, steps: int, batch_size: int, rank: int, devices: int) -> None:
        self.done, self.steps, self.batch_size, self.rank, self.devices = done, steps, batch_size, rank, devices

    def __len__(self) -> int:
        return self.steps  # of the whole run: Lightning counts the steps that are done among them

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.done, self.steps):
            start = (step * self.devices + self.rank) * self.batch_size
            yield list(range(start, start + self.batch_size))


def validation_squares(photos: Sequence[Path], size: int) -> Tensor:
    """The centre squares of photographs, (N, 3, size, size) in [0, 1]; files that cannot be read are left out.

    Raises:
        UserError: none can be read.
    """
    squares = []
    for path in photos:
        try:
            photo = open_upright(path, shortest=size).convert("RGB")
        except FileError:
            continue
        squares.append(to_tensor(ImageOps.fit(photo, (size, size), Image.Resampling.BICUBIC)))
    if not squares:
        raise UserError(f"none of the {len(photos)} validation photographs can be read, {photos[0]} the first of them")
    return torch.stack(squares)
