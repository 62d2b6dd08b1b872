"""The kinds of files that videos are written as, and what encodes their frames."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg's: its name, what its pixels are, and its options."""

    name: str
    pixel_format: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def even(self) -> bool:
        """Whether both sides have to be even."""
        return self.name == "libx264"


@dataclass(frozen=True)
class Kind:
    """A kind of file: what writes it, its opaque and its transparent frames, and its sounds."""

    container: str
    opaque: Encoder
    transparent: Encoder | None = None  # None: it has no room for alpha
    sound: str | None = None  # None: it has no room for sounds
    options: dict[str, str] = field(default_factory=dict)
    shortest: Fraction = Fraction(0)  # seconds between two frames; viewers slow down what is faster


# A quality at which strokes stay strokes; slower presets would take the processor from the painting. Colours at half
# the size, 4:2:0, are what every player shows.
H264 = Encoder("libx264", "yuv420p", {"crf": "18", "preset": "veryfast"})
VP9_OPTIONS = {"crf": "20", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
VP9 = Encoder("libvpx-vp9", "yuv420p", VP9_OPTIONS)
TRANSPARENT_VP9 = Encoder("libvpx-vp9", "yuva420p", VP9_OPTIONS)
PRORES = Encoder("prores_ks", "yuva444p10le", {"profile": "4444"})
GIF = Encoder("gif", "pal8")
WEBP = Encoder("libwebp_anim", "bgra", {"quality": "90"})
PNG = Encoder("apng", "rgb24", {"pred": "mixed"})
TRANSPARENT_PNG = Encoder("apng", "rgba", {"pred": "mixed"})
KINDS = {
    ".mp4": Kind("mp4", H264, None, "aac"),
    ".mkv": Kind("matroska", H264, TRANSPARENT_VP9, "aac"),
    ".mov": Kind("mov", H264, PRORES, "aac"),
    ".webm": Kind("webm", VP9, TRANSPARENT_VP9, "libopus"),
    ".gif": Kind("gif", GIF, GIF, options={"loop": "0"}, shortest=Fraction(2, 100)),
    ".webp": Kind("webp", WEBP, WEBP, options={"loop": "0"}),
    ".png": Kind("apng", PNG, TRANSPARENT_PNG, options={"plays": "0"}),
}


def as_picture(pixels: np.ndarray, encoder: Encoder) -> av.VideoFrame:
    """A frame, (H, W, 3) or (H, W, 4) uint8, as an encoder takes it; an odd side ends twice where it must be even."""
    if encoder.even:
        pixels = np.pad(pixels, [(0, side % 2) for side in pixels.shape[:2]] + [(0, 0)], mode="edge")
    name = "rgb24" if pixels.shape[2] == 3 else "rgba"
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), name)
    if encoder.pixel_format == "pal8":
        return with_palette(picture)
    if not encoder.pixel_format.startswith("yuv"):
        return picture.reformat(format=encoder.pixel_format)
    return picture.reformat(
        format=encoder.pixel_format, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


def with_palette(picture: av.VideoFrame) -> av.VideoFrame:
    """A frame in 256 colours, its own, of which one may be none."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
    )
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    used = graph.add("paletteuse", "new=1")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(used, 1, 0)
    palette.link_to(used, 0, 1)
    used.link_to(sink)
    graph.configure()
    picture.pts, picture.time_base = 0, Fraction(1, 1000)
    graph.vpush(picture)
    graph.vpush(None)
    return graph.vpull()
