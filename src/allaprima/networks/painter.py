"""What both networks share: grain on the photograph, layers on a grid of 4 pixels, any size painted at its own."""

import torch
from torch import Tensor, nn

from allaprima.networks.blocks import Grain

CELL = 4  # pixels; both networks work at a quarter of the size
MARGIN = 24  # pixels, a multiple of CELL, that are painted beyond each border and cut off


class Painter(nn.Module):
    """Photograph to pastiche in one pass.

    A network that sees where its picture ends paints a frame there, wherever that brings Gram matrices nearer. So in
    training its picture is a torus, which ends nowhere and which training turns to have its seam anywhere; in painting
    it has a margin, a reflection of the picture.

    Args:
        layers: (B, 3, h, w) to logits of the same shape; h and w multiples of 4.
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
        margin = 0 if self.training else MARGIN
        # By index, since engines that load an exported network know no padding by an amount that depends on the size.
        rows, columns = (reflected(side, margin).to(photos.device) for side in (height, width))
        wider = photos[:, :, rows][:, :, :, columns].contiguous(memory_format=torch.channels_last)
        painted = torch.sigmoid(self.layers(self.grain(wider)).float())
        return painted[..., margin : margin + height, margin : margin + width]


def reflected(side: int, margin: int) -> Tensor:
    """Where a side of so many pixels has those of itself with a margin around it, filled up to a multiple of `CELL`."""
    places = torch.arange(-margin, side + -side % CELL + margin).abs()
    return (side - 1 - (side - 1 - places).abs()).clamp(min=0)
