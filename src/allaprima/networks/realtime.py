"""A network made for speed: Johnson's residual blocks on a grid of 4x4 pixels, with nothing at the full size."""

from torch import Tensor, nn

from allaprima.networks.blocks import ConvNorm, Grain, Residual
from allaprima.networks.sizes import CELL, at_any_size


class Realtime(nn.Module):
    """Photograph to pastiche in one pass, real time on a processor.

    Pixel unshuffle (Shi et al. 2016) makes channels of the pixels of each cell, so that every convolution works at a
    sixteenth of the positions and with enough channels to keep a processor busy.

    Args:
        width: channels of the residual blocks.
        blocks: how many there are.
        grain: strength of the noise that is added to the photographs, see `Grain`.
    """

    def __init__(self, width: int = 64, blocks: int = 5, grain: float = 0.0) -> None:
        super().__init__()
        self.grain = Grain(grain) if grain else nn.Identity()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(CELL),
            ConvNorm(3 * CELL**2, width, 3),
            nn.ReLU(inplace=True),
            *(Residual(width) for _ in range(blocks)),
            nn.Conv2d(width, 3 * CELL**2, 3, padding=1, padding_mode="reflect"),
            nn.PixelShuffle(CELL),
        )

    def forward(self, photos: Tensor) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], any H and W: the same shape, float32, in [0, 1]."""
        return at_any_size(lambda x: self.layers(self.grain(x)), photos)
