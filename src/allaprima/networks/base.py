"""What both networks share: input noise, layers on a grid of 4 pixels, any size painted at its own."""

import torch
from torch import Tensor, nn

from allaprima.networks.blocks import InputNoise, Layers, Residual
from allaprima.networks.settings import NetworkSettings

CELL = 4  # pixels; both networks work at a quarter of the size
SPARE = 1  # cells of the margin that are left after the residual blocks, each of which cuts off one


class TransformationNetwork(nn.Module):
    """Photograph to pastiche in one pass.

    A network that sees where its picture ends paints a frame there, wherever that brings Gram matrices nearer. So in
    training all padding is circular, and the picture is rolled so that its seam is anywhere; in painting it has a
    margin, a reflection of the picture, of which every residual block cuts off a cell.

    Args:
        layers: (B, 3, h, w) to logits; h and w multiples of 4. With circular padding of the same shape, else with a
            cell less on each side for every residual block among them.
        settings: for the input noise.
    """

    def __init__(self, layers: Layers, settings: NetworkSettings) -> None:
        super().__init__()
        self.input_noise = InputNoise(settings.input_noise, settings.painting_noise)
        self.layers = layers
        self.margin = CELL * (SPARE + sum(isinstance(layer, Residual) for layer in layers))

    def forward(self, photos: Tensor, training: bool = False) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], any H and W: the same shape, float32, in [0, 1].

        In training with circular padding and new noise.
        """
        height, width = photos.shape[-2:]
        margin, spare = (0, 0) if training else (self.margin, CELL * SPARE)
        # By index, since engines that load an exported network know no padding by an amount that depends on the size.
        rows, columns = (reflected(side, margin).to(photos.device) for side in (height, width))
        painted = self.with_margin(photos.index_select(2, rows).index_select(3, columns), training)
        return painted[..., spare : spare + height, spare : spare + width]

    def with_margin(self, photos: Tensor, training: bool = False, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Paint photographs that have their margin already, (B, 3, h, w) with h and w multiples of `CELL`.

        Of a tile of a larger picture, `corner` is where its first pixel is, row and column. In training the shape
        stays, else `margin - CELL * SPARE` pixels are lost on each side.
        """
        return torch.sigmoid(self.layers(self.noisy(photos, training, corner), circular=training).float())

    def noisy(self, photos: Tensor, training: bool = False, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Photographs with their input noise, as the layers take them; see `with_margin`."""
        return self.input_noise(photos.contiguous(memory_format=torch.channels_last), training, corner)


def reflected(side: int, margin: int) -> Tensor:
    """Indices along a side, in pixels, that reflect it into a margin and fill it up to a multiple of `CELL`."""
    places = torch.arange(-margin, side + -side % CELL + margin).abs()
    return (side - 1 - (side - 1 - places).abs()).clamp(min=0)
