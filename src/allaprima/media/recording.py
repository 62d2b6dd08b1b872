"""Writing video files: frames at their times, and another file's sounds and subtitles, whole or not at all."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from allaprima.errors import FileError
from allaprima.media.animation import Animation, PictureSequence
from allaprima.media.encoders import KINDS, as_picture
from allaprima.media.files import TEMPORARY, delete_stale, publish
from allaprima.media.frame import Frame
from allaprima.media.tracks import Tracks
from allaprima.media.video import Video, reason

RECORDED_SUFFIXES = tuple(KINDS)


@dataclass
class Recording:
    """A video file in the making, to be used with `with`: `write` its frames, then `finish`; else nothing is left.

    Raises FileError if it cannot be written.
    """

    path: Path  # of the file, one of `RECORDED_SUFFIXES`
    rate: Fraction  # frames a second, about
    time_base: Fraction  # seconds, in which frames have their times
    tracks: Path | None = None  # a video file whose sounds and subtitles are taken over
    pixel_aspect: Fraction | None = None  # width over height of a pixel where it is shown; None if that is not known
    transparent: bool = False  # whether frames have alpha
    last_duration: Fraction | None = None  # seconds that the last frame is shown

    def __post_init__(self) -> None:
        self.kind = KINDS[self.path.suffix.lower()]
        self.encoder = (self.kind.transparent if self.transparent else None) or self.kind.opaque
        self.left: list[str] = []  # what the file has no room for, in words
        self.count = 0  # frames that were written
        self.earliest = 0  # time of the next frame
        self.output: av.container.OutputContainer | None = None
        self.taken: Tracks | None = None
        self.finished = False
        self.failure: FileError | None = None
        # Frames are written in a thread; nothing may be written after a failure, or while the file is closed.
        self.lock = threading.Lock()
        self.temporary: Path | None = None

    @classmethod
    def of(cls, video: Video | Animation | PictureSequence, path: Path) -> "Recording":
        """A file with what belongs to a video beside its frames."""
        own = (each.name for each in fields(cls) if each.name != "path")
        return cls(path, **{name: getattr(video, name) for name in own})

    def __enter__(self) -> "Recording":
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._discard()

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            delete_stale(self.path.parent)
            descriptor, name = tempfile.mkstemp(self.path.suffix, TEMPORARY, self.path.parent)
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {error.strerror}") from error
        self.temporary = Path(name)
        os.close(descriptor)
        self._add_streams()

    def _add_streams(self) -> None:
        options = dict(self.kind.options)
        if self.last_duration and self.kind.container == "gif":
            options["final_delay"] = str(round(self.last_duration * 100))
        if self.last_duration and self.kind.container == "apng":
            options["final_delay"] = str(self.last_duration)
        self.output = av.open(str(self.temporary), "w", format=self.kind.container, container_options=options)
        self.stream = self.output.add_stream(self.encoder.name, rate=self.rate, options=self.encoder.options)
        context = self.stream.codec_context
        context.time_base = self.time_base
        context.pix_fmt = self.encoder.pixel_format
        if self.pixel_aspect:
            context.sample_aspect_ratio = self.pixel_aspect
        if self.encoder.pixel_format.startswith("yuv"):
            # BT.709 in all its parts, and said so: what is not said players guess, each in its own way.
            context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
            context.color_range = ColorRange.MPEG
        if self.tracks:
            self.taken = Tracks(self.tracks, self.output, self.kind.sound)
            self.left += self.taken.left

    def write(self, frame: Frame) -> None:
        """Add a frame, of the same size as all others. Raises FileError if the file cannot be written."""
        with self._writing():
            if frame.time < self.earliest:
                return
            self.earliest = frame.time + int(self.kind.shortest / self.time_base)
            pixels = frame.pixels
            if self.transparent and self.kind.transparent:
                alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8) if frame.alpha is None else frame.alpha
                pixels = np.concatenate([pixels, alpha], axis=2)
            elif frame.alpha is not None and "transparency" not in self.left and frame.alpha.min() < 255:
                self.left.append("transparency")
            picture = as_picture(pixels, self.encoder)
            context = self.stream.codec_context
            if not context.is_open:
                context.width, context.height = picture.width, picture.height
            picture.pts, picture.time_base = frame.time, self.time_base
            self._mux(picture)
            self.count += 1

    def finish(self) -> None:
        """Write what is left, and give the file its name. Raises FileError where that is not possible."""
        # Ctrl-C comes to the main thread alone: in another this is done to its end.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._finish).result()

    def _finish(self) -> None:
        with self._writing():
            if self.finished:
                return
            self._mux(None)
            if self.taken:
                self.taken.finish()
            self._close()
            publish(self.temporary, self.path)
            self.finished = True

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What is written once at a time, and never after a failure: FFmpeg would end the process."""
        with self.lock:
            if self.failure:
                raise self.failure
            try:
                yield
            except (av.FFmpegError, OSError) as error:
                self.failure = FileError(f"cannot write {self.path}: {reason(error)}")
                raise self.failure from error

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self.stream.encode(picture):
            if self.taken:  # of one moment near its picture, or a player has to read back and forth
                self.taken.copy(float((packet.dts or 0) * packet.time_base))
            self.output.mux(packet)

    def _close(self) -> None:
        output, self.output = self.output, None
        if self.taken:
            self.taken.close()
        if output:
            output.close()

    def _discard(self) -> None:
        with self.lock:
            self.failure = self.failure or FileError(f"{self.path} is closed")
            with contextlib.suppress(av.FFmpegError, OSError):  # what could not be begun cannot be ended either
                self._close()
            if self.temporary:
                self.temporary.unlink(missing_ok=True)
