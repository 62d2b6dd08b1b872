"""A network made for speed: Johnson's residual blocks on a grid of 4x4 pixels, with nothing at the full size."""

from torch import nn

from allaprima.networks.base import CELL, TransformationNetwork
from allaprima.networks.blocks import ConvNorm, Layers, PaddedConv, Residual
from allaprima.networks.settings import NetworkSettings


class Realtime(TransformationNetwork):
    """Photograph to pastiche in one pass, real time on a processor.

    Pixel unshuffle (Shi et al. 2016) makes channels of the pixels of each cell, so that every convolution works at a
    sixteenth of the positions and with enough channels to keep a processor busy.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        width = settings.width
        hidden = width if settings.hidden is None else settings.hidden
        layers = Layers(
            nn.PixelUnshuffle(CELL),
            ConvNorm(3 * CELL**2, width, 3),
            nn.ReLU(inplace=True),
            *(Residual(width, hidden) for _ in range(settings.blocks)),
            PaddedConv(width, 3 * CELL**2, 3),
            nn.PixelShuffle(CELL),
        )
        super().__init__(layers, settings)
