"""Reading video files: frames with their times, turned upright."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from allaprima.errors import FileError
from allaprima.media.files import check_regular

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})


def is_video(path: Path) -> bool:
    """Whether a file is called as videos are."""
    return path.suffix.lower() in VIDEO_SUFFIXES


class Frame(NamedTuple):
    """One picture of a video."""

    pixels: np.ndarray  # (H, W, 3) uint8, sRGB, upright
    time: int  # when it is shown, in the video's time base


class Video:
    """A video file, read from its start to its end. Raises FileError if it is not there, no video, or damaged.

    Attributes:
        rotation: degrees counterclockwise by which its frames are turned to be upright, a multiple of 90.
        rate: frames a second, the mean.
        count: frames in the file, exact or estimated from its duration; 0 if neither is known.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_regular(path)
            self.container = av.open(str(path))
            self.stream = self.container.streams.video[0]
            self.stream.thread_type = "AUTO"
            self.rotation = round(next(self.container.decode(self.stream)).rotation / 90) * 90 % 360
            self.container.seek(0)
        except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
            raise FileError(f"{path} is no video that can be read: {reason(error)}") from error
        self.rate: Fraction = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        seconds = self.container.duration / av.time_base if self.container.duration else 0
        self.count = self.stream.frames or round(seconds * self.rate)

    def frames(self) -> Iterator[Frame]:
        """All frames, of the first one's size. Raises FileError where the file is damaged."""
        last = None
        sides: dict[str, int] = {}
        try:
            for frame in self.container.decode(self.stream):
                # Damaged files have frames without a time, or two at one: a file to be written may have neither.
                time = frame.pts if frame.pts is not None else 0
                last = time if last is None else max(last + 1, time)
                # Calls change their size midway, with the line; a file to be written has one.
                sides = sides or {"width": frame.width, "height": frame.height}
                pixels = np.rot90(frame.to_ndarray(format="rgb24", **sides), self.rotation // 90)
                yield Frame(np.ascontiguousarray(pixels), last)
        except av.FFmpegError as error:
            raise FileError(f"{self.path} is damaged: {reason(error)}") from error

    def close(self) -> None:
        """Close the file."""
        self.container.close()


def reason(error: Exception) -> str:
    """An error of FFmpeg's in words."""
    if isinstance(error, IndexError | StopIteration):
        return "it has no pictures"
    return getattr(error, "strerror", None) or str(error)
