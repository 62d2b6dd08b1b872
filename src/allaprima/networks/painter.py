"""What both networks share: grain on the photograph, layers on a grid of 4 pixels, any size painted at its own."""

import torch
from torch import Tensor, nn

from allaprima.networks.blocks import Grain

CELL = 4  # pixels; both networks work at a quarter of the size
SMALLEST = 16  # pixels; what reflection padding at a quarter of the size needs, and no less than a 9x9 window


class Painter(nn.Module):
    """Photograph to pastiche in one pass.

    Args:
        layers: (B, 3, h, w) to logits of the same shape; h and w multiples of 4, 16 or more.
        grain, painting_grain: strength of the noise that is added to the photographs, in training and in painting, see
            `Grain`.
    """

    def __init__(self, layers: nn.Module, grain: float, painting_grain: float) -> None:
        super().__init__()
        self.grain = Grain(grain, painting_grain) if grain or painting_grain else nn.Identity()
        self.layers = layers

    def forward(self, photos: Tensor) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], any H and W: the same shape, float32, in [0, 1]."""
        height, width = photos.shape[-2:]
        # By index, since engines that load an exported network know no padding by an amount that depends on the size.
        rows, columns = (
            torch.arange(multiple(side), device=photos.device).clamp(max=side - 1) for side in (height, width)
        )
        filled = photos[:, :, rows][:, :, :, columns].contiguous(memory_format=torch.channels_last)
        return torch.sigmoid(self.layers(self.grain(filled)).float())[..., :height, :width]


def multiple(side: int) -> int:
    """The least multiple of 4 that holds a side in pixels, 16 or more."""
    return SMALLEST if side < SMALLEST else side + -side % CELL
