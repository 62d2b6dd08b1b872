"""Reading videos: frames with their times, as every viewer shows them."""

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from allaprima.errors import FileError
from allaprima.media.animation import Animation, PictureSequence, is_animated, sequence_files
from allaprima.media.files import check_regular
from allaprima.media.frame import Frame, as_frame
from allaprima.media.hdr import ToneMapping, is_wide

VIDEO_SUFFIX = re.compile(
    r"\.(mp4|m4v|mov|mkv|webm|avi|m?ts|m2ts|mpe?g|vob|3gp|3g2|wmv|asf|flv|ogv|mxf|dv|rm)", re.IGNORECASE
)
# FFmpeg's readers of files of films. Others read addresses, lists of other files, devices, or text as a film.
READERS = "mov matroska avi mpegts mpeg mpegvideo m4v h264 hevc obu ivf asf flv live_flv ogg mxf dv rm nut yuv4mpegpipe"
STILL_BRANDS = {"heic", "heix", "heim", "heis", "mif1", "avif"}  # of pictures that FFmpeg's reader of MP4 reads
# Kinds of files that say at their start how long they are, and end without an error where they are cut off.
DECLARING = ("matroska", "flv")
LEAST_MISSING = Fraction(1, 2)  # seconds, and a share of all, for what counts as cut off
MISSING_SHARE = Fraction(1, 20)
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own pass over transparency


def is_video(path: Path) -> bool:
    """Whether a file is a film, an animation or a numbered sequence, by what is in it; damaged ones by their suffix."""
    if sequence_files(path):
        return True
    by_suffix = bool(VIDEO_SUFFIX.fullmatch(path.suffix))
    if not path.is_file():
        return by_suffix
    animated = is_animated(path)
    if animated is not None:
        return animated
    try:
        with open_container(path) as container:
            still = container.metadata.get("major_brand") in STILL_BRANDS
            return not still and (by_suffix or film_stream(container) is not None)
    except (av.FFmpegError, OSError):
        return by_suffix


def open_video(path: Path) -> "Video | Animation | PictureSequence":
    """A video of any kind that `is_video` knows. Raises FileError if it is none, or damaged from the start."""
    if sequence_files(path):
        return PictureSequence(path)
    return Animation(path) if path.is_file() and is_animated(path) else Video(path)


def open_container(path: Path) -> av.container.InputContainer:
    """A file of a film, for FFmpeg; what its name looks like is no address. Raises av.FFmpegError or OSError."""
    options = {"format_whitelist": READERS.replace(" ", ","), "protocol_whitelist": "file"}
    return av.open(f"file:{path}", container_options=options, metadata_errors="replace")


def film_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream that FFmpeg takes: the default one, else the largest, never a cover; None if there is none."""
    films = [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & av.stream.Disposition.attached_pic
    ]
    default = av.stream.Disposition.default
    return max(films, key=lambda film: (bool(film.disposition & default), film.width * film.height), default=None)


def start_of(container: av.container.InputContainer) -> Fraction:
    """Seconds from which a file counts its time, where that is not from 0: broadcasts begin at any."""
    return Fraction(max(0, container.start_time or 0), av.time_base)


class Video:
    """A file of a film, read once from its start to its end. Raises FileError if it is not there, none, or damaged.

    Attributes:
        time_base: seconds, in which frames have their times.
        rate: frames a second, the mean.
        count: frames in the file, exact or estimated from its duration; 0 if neither is known.
        pixel_aspect: width over height of a pixel where it is shown; None if that is not known.
        transparent: whether its frames have alpha.
        tracks: the file whose sounds and subtitles belong to it, or None.
        last_duration: seconds that the last frame is shown, or None if it is not known.
    """

    last_duration = None

    def __init__(self, path: Path) -> None:
        self.path = self.tracks = path
        self.damage: Exception | None = None
        self.ended = Fraction(0)  # seconds up to which any of its streams was read
        try:
            check_regular(path)
            self.container = open_container(path)
            self.stream = film_stream(self.container)
            if self.stream is None:
                raise FileError(f"{path} is no video that can be read: it has no pictures")
            self.decoder = self._decoder()
            self.decoder.thread_type = "AUTO"
            self.decoded = self._decoded()
            first = next(self.decoded)
        except (av.FFmpegError, OSError, StopIteration) as error:
            raise FileError(f"{path} is no video that can be read: {reason(self.damage or error)}") from error
        self.decoded = itertools.chain([first], self.decoded)
        self.width, self.height = first.width, first.height
        self.transparent = any(component.is_alpha for component in first.format.components)
        self.matrix = display_matrix(first)
        self.tone_mapping = ToneMapping()
        self.time_base: Fraction = self.stream.time_base
        self.rate: Fraction = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        seconds = self.container.duration / av.time_base if self.container.duration else 0
        self.count = self.stream.frames or round(seconds * self.rate)
        self.pixel_aspect = self.stream.sample_aspect_ratio
        if self.pixel_aspect and lies_on_its_side(self.matrix):
            self.pixel_aspect = 1 / self.pixel_aspect

    def _decoder(self) -> av.VideoCodecContext:
        own = self.stream.codec_context
        transparent = self.stream.metadata.get("alpha_mode") == "1" and own.name in ALPHA_DECODERS
        return av.CodecContext.create(ALPHA_DECODERS[own.name], "r") if transparent else own

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All frames that can be read: as players do, what is damaged is passed over, and remembered."""
        packets = self.container.demux()
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.pts is not None:
                    self.ended = max(self.ended, (packet.pts + (packet.duration or 0)) * packet.time_base)
                if packet.stream is not self.stream or (not packet.size and packet.dts is not None):
                    continue  # a frame that was dropped; a decoder would take it for the end
                frames = self.decoder.decode(packet if packet.size else None)
            except av.FFmpegError as error:
                self.damage = error
                continue
            yield from frames

    def frames(self) -> Iterator[Frame]:
        """All frames, of the first one's size. Raises FileError after the last that can be read of a damaged file."""
        start = round(start_of(self.container) / self.time_base)
        step = max(1, round(1 / (self.rate * self.time_base)))
        last = None
        self.damage = None  # before the first frame: recordings of broadcasts begin anywhere
        for frame in self.decoded:
            time = frame.dts if self.container.format.name == "avi" else frame.pts  # of AVI in the order of its packets
            # Damaged files have frames without a time, or two at one: a file to be written may have neither.
            if last is None:
                last = (time or start) - start
            else:
                last = last + step if time is None else max(last + 1, time - start)
            yield as_frame(turned(self._pixels(frame), self.matrix), last)
        if self.damage:
            raise FileError(f"{self.path} is damaged: {reason(self.damage)}")
        if self.container.format.name.startswith(DECLARING):
            read = self.ended - start_of(self.container)
            declared = Fraction(self.container.duration or 0, av.time_base)
            if declared - read > max(LEAST_MISSING, MISSING_SHARE * declared):
                raise FileError(f"{self.path} is damaged: it ends after {float(read):.1f} of {float(declared):.1f} s")

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        # Calls change their size midway, with the line; a file to be written has one.
        sides = {"width": self.width, "height": self.height}
        pixels = frame.to_ndarray(format="rgba" if self.transparent else "rgb24", **sides)
        if is_wide(frame):
            pixels[..., :3] = self.tone_mapping(frame, **sides)
        return pixels

    def close(self) -> None:
        """Close the file."""
        self.container.close()


def display_matrix(frame: av.VideoFrame) -> np.ndarray:
    """Where the axes of a frame point when it is shown: rows of (2, 2), to the right and down."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2] if data else np.eye(2)


def lies_on_its_side(matrix: np.ndarray) -> bool:
    """Whether a display matrix turns by a quarter."""
    return bool(abs(matrix[0, 1]) > abs(matrix[0, 0]))


def turned(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A frame, (H, W, C), mirrored and turned by quarters as its display matrix says."""
    if lies_on_its_side(matrix):
        pixels, matrix = pixels.swapaxes(0, 1), matrix[::-1]
    rows, columns = (slice(None, None, -1 if matrix[axis, axis] < 0 else 1) for axis in (1, 0))
    return pixels[rows, columns]


def reason(error: Exception) -> str:
    """An error of FFmpeg's in words."""
    if isinstance(error, StopIteration):
        return "it has no pictures"
    return getattr(error, "strerror", None) or str(error)
