"""A network made for speed: Johnson's residual blocks on a grid of 4x4 pixels, with nothing at the full size."""

from torch import nn

from allaprima.networks.base import CELL, TransformationNetwork
from allaprima.networks.blocks import ConvNorm, Layers, PaddedConv, Residual


class Realtime(TransformationNetwork):
    """Photograph to pastiche in one pass, real time on a processor.

    Pixel unshuffle (Shi et al. 2016) makes channels of the pixels of each cell, so that every convolution works at a
    sixteenth of the positions and with enough channels to keep a processor busy.

    Args:
        width: channels between the residual blocks.
        blocks: how many there are.
        hidden: channels within each; None, for files that do not tell, is as many as `width`.
        input_noise, painting_noise: standard deviation of the noise that is added to the photographs, in training and
            in painting, see `InputNoise`.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 4,
        hidden: int | None = None,
        input_noise: float = 0.0,
        painting_noise: float = 0.0,
    ) -> None:
        layers = Layers(
            nn.PixelUnshuffle(CELL),
            ConvNorm(3 * CELL**2, width, 3),
            nn.ReLU(inplace=True),
            *(Residual(width, width if hidden is None else hidden) for _ in range(blocks)),
            PaddedConv(width, 3 * CELL**2, 3),
            nn.PixelShuffle(CELL),
        )
        super().__init__(layers, input_noise, painting_noise)
