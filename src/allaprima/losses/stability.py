"""A term against flicker: what a small shift of the photograph changes in its pastiche, beside the shift."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 8  # pixels along each side, about what moves between two frames of a video
SENSOR_NOISE = 0.02  # standard deviation; a camera's in a room


def instability(paint: Callable[[Tensor], Tensor], photos: Tensor, pastiches: Tensor) -> Tensor:
    """Mean squared distance of pastiches of shifted, noisy photographs from the shifted pastiches, a scalar.

    Frames of a still scene differ in noise and in where the camera points; no video is needed to teach a network to
    paint them alike (Rainy and de Berker 2018, with noise; the shift is ours). The shift is circular, as all padding
    is in training: it brings nothing new into the picture, so every pixel counts.

    Args:
        paint: photographs to pastiches, with the input noise of `pastiches`, which stays where it is as in a video.
        photos: (B, 3, H, W) in [0, 1].
        pastiches: of `photos`, with their gradient.
    """
    shift = torch.randint(-REACH, REACH + 1, (2,)).tolist()
    noisy = photos.roll(shift, (2, 3)) + SENSOR_NOISE * torch.randn_like(photos)
    return F.mse_loss(paint(noisy), pastiches.roll(shift, (2, 3)))
