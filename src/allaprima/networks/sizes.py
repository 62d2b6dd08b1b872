"""Any size in, the same size out: what networks that work on a grid of 4 pixels need at their borders."""

from collections.abc import Callable

import torch
from torch import Tensor

CELL = 4  # pixels; both networks work at a quarter of the size
SMALLEST = 16  # pixels; what reflection padding at a quarter of the size needs, and no less than a 9x9 window


def at_any_size(layers: Callable[[Tensor], Tensor], photos: Tensor) -> Tensor:
    """Paint photographs of any size with layers that want multiples of 4.

    Args:
        layers: (B, 3, h, w) to logits of the same shape; h and w multiples of 4, 16 or more.
        photos: (B, 3, H, W), sRGB in [0, 1], any H and W.

    Returns:
        (B, 3, H, W), float32 in [0, 1].
    """
    height, width = photos.shape[-2:]
    # By index, since engines that load an exported network know no padding by an amount that depends on the size.
    rows, columns = (torch.arange(multiple(side), device=photos.device).clamp(max=side - 1) for side in (height, width))
    painted = layers(photos[:, :, rows][:, :, :, columns].contiguous(memory_format=torch.channels_last))
    return torch.sigmoid(painted.float())[..., :height, :width]


def multiple(side: int) -> int:
    """The least multiple of 4 that holds a side in pixels, 16 or more."""
    return SMALLEST if side < SMALLEST else side + -side % CELL
