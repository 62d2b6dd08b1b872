"""Less flicker in videos: every stylized frame takes over a share of the one before, moved along with the picture."""

import cv2
import numpy as np

# Flow at half the size takes a quarter of the time, and strokes are wider than what it misses.
SCALE = 0.5
SMALLEST = 32  # pixels on the short side at that size; of thinner pictures OpenCV ends the process
# How far a pixel may be from where it was, of 255, to count as the same; more is what was hidden, or a cut.
TOLERANCE = 24.0
# With less that is the same it is a cut: between unrelated photographs it is 0.1 to 0.29, in moving pictures 0.8.
LEAST_SAME = 0.4
NEIGHBOURHOOD = np.ones((9, 9), np.uint8)  # pixels, whose range what is taken over keeps within, or ghosts stay


class Smoothing:
    """A recursive blend along the optical flow (DIS, Kroeger et al. 2016), for one video's frames in their order.

    With a share of 0 to below 1 of the frame before in each, what is new takes some 1 / (1 - share) frames to appear,
    where the picture stays the same; where it changes, it appears at once.
    """

    def __init__(self, share: float) -> None:
        self.flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self.shares = (share * np.exp(-((np.arange(256) / TOLERANCE) ** 2))).astype(np.float32)  # by how much changed
        self.before: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, frame: np.ndarray, painted: np.ndarray) -> np.ndarray:
        """The next stylized frame, smoothed unless it is too small; both (H, W, 3) uint8, all of one size."""
        if not self.shares[0] or min(frame.shape[:2]) * SCALE < SMALLEST:
            return painted
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        gray = cv2.resize(gray, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_AREA)
        if self.before:
            painted = self._blended(gray, painted)
        self.before = gray, painted
        return painted

    def _blended(self, gray: np.ndarray, painted: np.ndarray) -> np.ndarray:
        gray_before, painted_before = self.before
        flow = self.flow.calc(gray, gray_before, None)
        gray_moved = cv2.remap(gray_before, positions(flow), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = self.shares[cv2.blur(cv2.absdiff(gray, gray_moved), (3, 3))]
        if share.mean() < self.shares[0] * LEAST_SAME:
            return painted
        size = painted.shape[1::-1]
        places = positions(cv2.resize(flow, size) / SCALE)
        moved = cv2.remap(painted_before, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        moved = cv2.min(cv2.max(moved, cv2.erode(painted, NEIGHBOURHOOD)), cv2.dilate(painted, NEIGHBOURHOOD))
        share = cv2.resize(share, size)
        return cv2.blendLinear(painted, moved, 1 - share, share)


def positions(flow: np.ndarray) -> np.ndarray:
    """Where each pixel was, as `cv2.remap` takes it, from how far it was away: (H, W, 2) float32, columns first."""
    rows, columns = np.indices(flow.shape[:2], np.float32, sparse=True)
    places = flow.copy()
    places[..., 0] += columns
    places[..., 1] += rows
    return places
