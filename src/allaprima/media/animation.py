"""Animated pictures and numbered sequences of them, read as videos are."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from allaprima.errors import FileError
from allaprima.media.frame import Frame, as_frame
from allaprima.media.images import READ_FORMATS, open_upright, upright

ANIMATED_FORMATS = {"GIF", "WEBP", "PNG", "AVIF"}  # not MPO and TIFF, whose pictures are no film
DEFAULT_DURATION = 100  # milliseconds; what browsers take for a frame that says next to none
SHORTEST_DURATION = 11
SEQUENCE_RATE = Fraction(25)  # frames a second, as FFmpeg takes a sequence
NUMBER = re.compile(r"%0?(\d*)d")


def is_animated(path: Path) -> bool | None:
    """Whether a picture file has several frames; None if Pillow does not know it as a picture."""
    try:
        with Image.open(path, formats=READ_FORMATS) as picture:
            return picture.format in ANIMATED_FORMATS and getattr(picture, "is_animated", False)
    except Exception:  # Pillow's readers raise many kinds
        return None


def sequence_files(pattern: Path) -> list[Path]:
    """The pictures that a name such as `frame_%04d.png` means, in the order of their numbers."""
    found = NUMBER.search(pattern.name)
    if not found or pattern.exists() or not pattern.parent.is_dir():
        return []
    digits = rf"(\d{{{int(found[1] or 1)},}})"
    name = re.compile(re.escape(pattern.name[: found.start()]) + digits + re.escape(pattern.name[found.end() :]))
    numbers = {path: int(match[1]) for path in pattern.parent.iterdir() if (match := name.fullmatch(path.name))}
    return sorted(numbers, key=numbers.__getitem__)


class PictureSequence:
    """Pictures one after another, 25 a second, all at the first one's size. Raises FileError for what is no picture.

    Its attributes are those of `Video`.
    """

    time_base = 1 / SEQUENCE_RATE
    rate = SEQUENCE_RATE
    pixel_aspect = last_duration = tracks = None

    def __init__(self, pattern: Path) -> None:
        self.files = sequence_files(pattern)
        self.count = len(self.files)
        first = open_upright(self.files[0])
        self.size = first.size
        self.transparent = first.mode == "RGBA"

    def frames(self) -> Iterator[Frame]:
        """All pictures. Raises FileError at one that is damaged."""
        for number, file in enumerate(self.files):
            picture = open_upright(file)
            yield as_frame(np.asarray(picture if picture.size == self.size else picture.resize(self.size)), number)

    def close(self) -> None:
        """Nothing is open between two pictures."""


class Animation:
    """An animated GIF, WebP or PNG. Raises FileError for a damaged one; its attributes are those of `Video`."""

    time_base = Fraction(1, 1000)
    pixel_aspect = tracks = None

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transparent = False
        durations = []
        try:
            for picture, duration in self._pictures():
                self.transparent = self.transparent or picture.has_transparency_data
                durations.append(duration)
        except FileError:
            if not durations:
                raise
        self.count = len(durations)
        self.rate = Fraction(1000 * self.count, sum(durations))
        self.last_duration = Fraction(durations[-1], 1000)

    def frames(self) -> Iterator[Frame]:
        """All frames. Raises FileError where the file is damaged."""
        time = 0
        for picture, duration in self._pictures():
            yield as_frame(np.asarray(upright(picture)), time)
            time += duration

    def _pictures(self) -> Iterator[tuple[Image.Image, int]]:
        try:
            with Image.open(self.path, formats=READ_FORMATS) as file:
                for number, picture in enumerate(ImageSequence.Iterator(file)):
                    if number == 0 and getattr(file, "default_image", False):
                        continue  # of a PNG, for those who know no animations
                    picture.load()
                    duration = round(picture.info.get("duration") or 0)
                    yield picture, duration if duration >= SHORTEST_DURATION else DEFAULT_DURATION
        except Exception as error:  # Pillow's decoders raise many kinds
            raise FileError(f"{self.path} is damaged: {error}") from error

    def close(self) -> None:
        """Nothing is open but while its frames are read."""
