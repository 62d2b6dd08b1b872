"""Soft maps of the heads in a picture, and the same without a flicker over the frames of a video."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from allaprima.inference.faces import LIKELY, Faces, find_faces

# A head is an ellipse around the face: half as wide as ACROSS times the mean of the box's sides, half as high as DOWN
# times its height, and raised by a share of the height, for the hair.
ACROSS = 0.75
DOWN = 0.85
RAISED = 0.1
FEATHERED = 1.8  # the map is 1 in that ellipse and 0 outside of one so many times as large

LONGEST = 480  # pixels on the longer side of a frame when faces are searched in it
EVERY = 4  # frames from one search to the next
# A face that is there already may score less: what is found now and then is found always.
LIKELY_STILL = 0.3
KEPT = 24  # frames that a face stays after it was found last
FADING = 12  # frames in which a face comes or goes
FOLLOWING = 0.4  # how much of its distance from where the face is expected a head makes up in a frame
NEAR = 1.0  # how far a face may go from one search to the next, in multiples of its size
# Thumbnails correlate by less in 99 of 100 pairs of unrelated photographs; a picture that moves by a thirtieth of its
# width and itself keep more, and so does one that a flash lights up.
THUMBNAIL = (16, 16)
LEAST_ALIKE = 0.6


def face_map(boxes: np.ndarray, height: int, width: int, presence: Sequence[float] | None = None) -> Tensor:
    """Where the heads are: (height, width) float32, 1 on a head, falling smoothly to 0 around it.

    Args:
        boxes: of faces, (N, 4), as `find_faces` gives them for a picture of this size.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        presence: how much of each face is there, in [0, 1]; all of it if None.
    """
    elsewhere = np.ones((height, width), np.float32)
    for (left, top, right, bottom), share in zip(boxes, presence or [1.0] * len(boxes), strict=True):
        down = DOWN * (bottom - top)
        across = ACROSS * (right - left + bottom - top) / 2
        rows, vertical = _axis((top + bottom) / 2 - RAISED * (bottom - top), down, height)
        columns, horizontal = _axis((left + right) / 2, across, width)
        distance = np.hypot(vertical[:, None], horizontal)
        head = np.clip((FEATHERED - distance) / (FEATHERED - 1), 0, 1)
        elsewhere[rows, columns] *= 1 - share * head**2 * (3 - 2 * head)  # no edge at either end
    return torch.from_numpy(1 - elsewhere)


def _axis(middle: float, radius: float, length: int) -> tuple[slice, np.ndarray]:
    # The pixels that an ellipse reaches along one side of the picture, and how many radii they are from its middle.
    radius = max(radius, 1e-3)
    first = min(max(math.floor(middle - FEATHERED * radius), 0), length)
    last = max(min(math.ceil(middle + FEATHERED * radius), length), first)
    return slice(first, last), ((np.arange(first, last) + 0.5 - middle) / radius).astype(np.float32)


@dataclass
class _Head:
    """A face that is followed: its box in the map, where it was found last, how it moves, and how much is there."""

    box: np.ndarray
    found: np.ndarray
    velocity: np.ndarray | float = 0.0  # pixels in a frame
    presence: float = 0.0
    age: int = 0  # frames since it was found
    sightings: int = 1

    def sight(self, box: np.ndarray) -> None:
        """Take over where the face was found again."""
        self.velocity = (self.velocity + (box - self.found) / max(self.age, 1)) / 2
        self.found, self.age, self.sightings = box, 0, self.sightings + 1

    def advance(self) -> None:
        """Go on by a frame. Only what was found twice appears: a single find is often none."""
        expected = self.found + self.velocity * min(self.age, EVERY)
        moved = self.box + self.velocity * (self.age <= EVERY)
        self.box = moved + FOLLOWING * (expected - moved)
        self.age += 1
        appears = self.sightings > 1 and self.age <= KEPT
        self.presence = min(max(self.presence + (1 if appears else -1) / FADING, 0.0), 1.0)

    def distance(self, box: np.ndarray) -> float:
        """How far a face is from where this one was found last, in multiples of the larger one's size."""
        corners = np.abs(box - self.found).max()
        return corners / max(np.ptp(each[axis::2]) for each in (box, self.found) for axis in (0, 1))


class FaceMaps:
    """The maps of one video's frames, in their order.

    Faces are searched in every fourth frame, at a reduced size. A head follows its face, fades in and out, and stays
    for a while when its face is not found. With a cut, or a frame of another size, all begins anew.
    """

    def __init__(self) -> None:
        self.heads: list[_Head] = []
        self.frames = 0
        self.shape: tuple[int, ...] = ()
        self.thumbnail = np.zeros(THUMBNAIL, np.float32)

    def __call__(self, frame: np.ndarray) -> Tensor:
        """The map of the next frame, (H, W) float32 in [0, 1]; the frame is (H, W, 3) uint8.

        Raises UserError as `find_faces` does.
        """
        if self._is_cut(frame):
            self.frames = 0
            found = find_faces(frame, LIKELY, LONGEST)
            self.heads = [_Head(box, box, presence=1.0, sightings=2) for box in found.boxes]
        elif self.frames % EVERY == 0:
            self._update(find_faces(frame, LIKELY_STILL, LONGEST))
        self.frames += 1
        for head in self.heads:
            head.advance()
        self.heads = [head for head in self.heads if head.presence or head.age <= KEPT]
        return face_map([head.box for head in self.heads], *frame.shape[:2], [head.presence for head in self.heads])

    def _is_cut(self, frame: np.ndarray) -> bool:
        before, shape = self.thumbnail, self.shape
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        self.thumbnail = cv2.resize(gray, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        self.shape = frame.shape
        # In OpenCV, what follows a frame of one colour correlates with it by 0, and such a frame with any before by 1.
        alike = cv2.matchTemplate(before, self.thumbnail, cv2.TM_CCOEFF_NORMED).item()
        return shape != frame.shape or alike < LEAST_ALIKE

    def _update(self, found: Faces) -> None:
        free = list(self.heads)
        for box, score in zip(found.boxes, found.scores, strict=True):
            head = min(free, key=lambda head: head.distance(box), default=None)
            if head and head.distance(box) < NEAR:
                free = [each for each in free if each is not head]
                head.sight(box)
            elif score >= LIKELY:
                self.heads.append(_Head(box, box))
