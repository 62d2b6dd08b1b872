"""Frames with more light or wider colours than BT.709 has, brought down to it."""

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

WIDE = {ColorPrimaries.BT2020, ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432}
# PQ has room for 10,000 candelas a square metre, and films use 1000 of them, which is what HLG has room for.
PQ_TO_HLG = "out_transfer=arib-std-b67:intent=absolute_colorimetric"
TO_BT709 = "out_primaries=bt709:out_transfer=bt709:intent="
STEPS = {  # of FFmpeg's scaler, by the transfer characteristic; the perceptual intent is its tone mapping
    ColorTrc.SMPTE2084: [PQ_TO_HLG, TO_BT709 + "perceptual"],
    ColorTrc.ARIB_STD_B67: [TO_BT709 + "perceptual"],
}


def is_wide(frame: av.VideoFrame) -> bool:
    """Whether a frame says that its light (PQ, HLG) or its colours (BT.2020, P3) are beyond BT.709."""
    return frame.color_trc in STEPS or frame.color_primaries in WIDE


class ToneMapping:
    """Brings the frames of one video to BT.709."""

    def __init__(self) -> None:
        self.graph: av.filter.Graph | None = None
        self.kind: tuple | None = None

    def __call__(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """A frame for which `is_wide` holds, as (height, width, 3) uint8, BT.709. Raises av.FFmpegError."""
        kind = (frame.width, frame.height, frame.format.name, frame.color_trc)
        if kind != self.kind:
            self.graph = av.filter.Graph()
            steps = STEPS.get(frame.color_trc, [TO_BT709 + "relative_colorimetric"])
            filters = [("scale", step + f":w={width}:h={height}") for step in steps]
            filters.insert(1, ("format", "gbrp16le"))  # 8 bit between two steps would show as bands
            self.graph.link_nodes(
                self.graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
                ),
                *(self.graph.add(*each) for each in filters),
                self.graph.add("format", "rgb24"),
                self.graph.add("buffersink"),
            ).configure()
            self.kind = kind
        self.graph.vpush(frame)
        return self.graph.vpull().to_ndarray()
