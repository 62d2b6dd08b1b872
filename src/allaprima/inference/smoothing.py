"""Less flicker in videos: every stylized frame takes over a share of the one before, moved along with the picture."""

import cv2
import numpy as np

# Flow at half the size, with a quarter of the time: strokes are wider than what it misses.
SCALE = 0.5
# How far a pixel may be from where it was, of 255, to count as the same; more is what was hidden, or a cut.
TOLERANCE = 12.0


class Smoothing:
    """A recursive blend along the optical flow (DIS, Kroeger et al. 2016), for one video's frames in their order.

    Args:
        share: of the frame before in each, 0 to below 1. What is new then takes some 1 / (1 - share) frames to appear,
            where the picture stays the same; where it changes, it appears at once.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def __call__(self, frame: np.ndarray, painted: np.ndarray) -> np.ndarray:
        """The next stylized frame, smoothed.

        Args:
            frame: (H, W, 3) uint8, all of one size.
            painted: its stylized image, of the same shape and type.

        Returns:
            Of the same shape and type.
        """
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        gray = cv2.resize(gray, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
        if self.before and self.share:
            gray_before, frame_before, painted_before = self.before
            places = positions(self.flow.calc(gray, gray_before, None), frame.shape[:2])
            frame_moved = cv2.remap(frame_before, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            painted_moved = cv2.remap(painted_before, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            change = cv2.blur(cv2.absdiff(frame, frame_moved).max(2), (5, 5)).astype(np.float32)
            share = self.share * np.exp(-((change / TOLERANCE) ** 2))
            painted = cv2.blendLinear(painted, painted_moved, 1 - share, share)
        self.before = gray, frame, painted
        return painted


def positions(flow: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where in the frame before each pixel was, as `cv2.remap` takes it, from flow at `SCALE`, (h, w, 2)."""
    height, width = size
    moved = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) / SCALE
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns + moved[..., 0], rows + moved[..., 1]
