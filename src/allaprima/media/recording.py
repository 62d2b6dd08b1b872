"""Writing video files: frames at their times, and another file's sound, whole or not at all."""

import contextlib
import math
import os
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from allaprima.errors import FileError
from allaprima.media.files import TEMPORARY, delete_stale, publish
from allaprima.media.video import Frame, reason

RECORDED_SUFFIXES = (".mp4", ".mkv", ".mov")
# A quality at which strokes stay strokes; slower presets would take the processor from the painting.
ENCODER = "libx264"
OPTIONS = {"crf": "18", "preset": "veryfast"}


@dataclass
class Recording:
    """A video file in the making: `write` its frames, then `finish`; or `discard` it, and nothing is left.

    Raises FileError if it cannot be written, or its kind of file has no room for that sound.
    """

    path: Path  # of the file, one of `RECORDED_SUFFIXES`
    rate: Fraction  # frames a second, about
    time_base: Fraction  # seconds, in which frames have their times
    rotation: int = 0  # degrees counterclockwise by which players are to turn the frames, which come upright
    sound: Path | None = None  # a video file whose first sound is copied as it is
    pixel_aspect: Fraction | None = None  # width over height of a pixel where it is shown; None if that is not known

    def __post_init__(self) -> None:
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            delete_stale(path.parent)
            descriptor, name = tempfile.mkstemp(path.suffix, TEMPORARY, path.parent)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from error
        os.close(descriptor)
        self.temporary = Path(name)
        self.output = av.open(name, "w")
        self.stream = self.output.add_stream(ENCODER, rate=self.rate, options=OPTIONS)
        context = self.stream.codec_context
        context.time_base = self.time_base
        if self.pixel_aspect:
            context.sample_aspect_ratio = self.pixel_aspect
        # BT.709 in all its parts, and said so: what is not said players guess, each in its own way.
        context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        if self.rotation:
            self.stream.set_display_rotation(self.rotation)
        self.copied: Sound | None = None
        if self.sound:
            try:
                self.copied = Sound(self.sound, self.output)
            except FileError:
                self.discard()
                raise

    def write(self, frame: Frame) -> None:
        """Add a frame, of the same size as all others. Raises FileError if the file cannot be written."""
        pixels = np.ascontiguousarray(np.rot90(frame.pixels, -self.rotation // 90))
        height, width = pixels.shape[:2]
        context = self.stream.codec_context
        if not context.is_open:
            context.width = width
            context.height = height
            # Colours at half the size, which every player can show, need even sides.
            context.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        picture = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
            format=context.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        picture.pts, picture.time_base = frame.time, self.time_base
        self._mux(picture)

    def finish(self) -> None:
        """Write what is left, and give the file its name. Raises FileError where that is not possible."""
        self._mux(None)
        try:
            if self.copied:
                self.copied.copy(math.inf)
            self.close()
            publish(self.temporary, self.path)
        except (av.FFmpegError, OSError) as error:
            self.temporary.unlink(missing_ok=True)
            raise FileError(f"cannot write {self.path}: {reason(error)}") from error

    def discard(self) -> None:
        """Leave no file."""
        with contextlib.suppress(av.FFmpegError):  # what could not be begun cannot be ended either
            self.close()
        self.temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file, which has no name yet."""
        self.output.close()
        if self.copied:
            self.copied.source.close()

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            for packet in self.stream.encode(picture):
                if self.copied:  # of one moment near its picture, or a player has to read back and forth
                    self.copied.copy(float((packet.dts or 0) * packet.time_base))
                self.output.mux(packet)
        except (av.FFmpegError, OSError) as error:
            mend = "; if it is for the sound, give output=NAME.mkv" if self.sound else ""
            raise FileError(f"cannot write {self.path}: {reason(error)}{mend}") from error


class Sound:
    """The first sound of a video file, copied as it is. Raises FileError where the output has no room for it."""

    def __init__(self, path: Path, output: av.container.OutputContainer) -> None:
        self.source = av.open(str(path))
        self.output = output
        stream = self.source.streams.audio[0]
        try:
            self.stream = output.add_stream_from_template(stream)
            self.packets = (packet for packet in self.source.demux(stream) if packet.dts is not None)
            self.next = next(self.packets, None)
        except (av.FFmpegError, ValueError) as error:
            raise FileError(f"the sound of {path} does not fit into such a file: give output=NAME.mkv") from error

    def copy(self, until: float) -> None:
        """Copy what begins before `until`, in seconds."""
        while self.next and float(self.next.dts * self.next.time_base) <= until:
            self.next.stream = self.stream
            self.output.mux(self.next)
            self.next = next(self.packets, None)
