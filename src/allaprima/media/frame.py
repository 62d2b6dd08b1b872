"""A frame of a video, as it is read, painted and written."""

from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """One picture of a video."""

    pixels: np.ndarray  # (H, W, 3) uint8, sRGB, upright; what is transparent is laid on white
    time: int  # when it is shown, in the video's time base
    alpha: np.ndarray | None = None  # (H, W, 1) uint8, 255 where nothing shines through; None: everywhere


def as_frame(pixels: np.ndarray, time: int) -> Frame:
    """The frame of a picture, (H, W, 3) or (H, W, 4) uint8, of which nobody sees what is hidden."""
    if pixels.shape[2] == 3:
        return Frame(np.ascontiguousarray(pixels), time)
    colors, alpha = np.split(pixels, [3], axis=2)
    share = alpha.astype(np.uint16)
    return Frame(((colors * share + 255 * (255 - share) + 127) // 255).astype(np.uint8), time, alpha)
