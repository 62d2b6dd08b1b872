"""A network made for speed: Johnson's residual blocks on a grid of 4x4 pixels, with nothing at the full size."""

from torch import nn

from allaprima.networks.blocks import CELL, ConvNorm, Layers, PaddedConv, Residual
from allaprima.networks.settings import NetworkSettings


def realtime(settings: NetworkSettings) -> Layers:
    """Its layers, see `TransformationNetwork`; real time on a processor.

    Pixel unshuffle (Shi et al. 2016) makes channels of the pixels of each cell, so that every convolution works at a
    sixteenth of the positions and with enough channels to keep a processor busy.
    """
    width = settings.width
    hidden = width if settings.hidden is None else settings.hidden
    return Layers(
        nn.PixelUnshuffle(CELL),
        ConvNorm(3 * CELL**2, width, 3, CELL),
        nn.ReLU(inplace=True),
        *(Residual(width, hidden) for _ in range(settings.blocks)),
        PaddedConv(width, 3 * CELL**2, 3),
        nn.PixelShuffle(CELL),
    )
