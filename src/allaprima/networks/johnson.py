"""The image transformation network of Johnson, Alahi and Fei-Fei (2016), with instance norm and resize-convolutions."""

from torch import Tensor, nn

from allaprima.networks.blocks import ConvNorm, FewChannelConv, Grain, InstanceNorm, Residual, ResizeConv
from allaprima.networks.sizes import at_any_size


class Johnson(nn.Module):
    """Photograph to pastiche in one pass.

    Args:
        width: channels after the first convolution; twice and four times as many after the two that halve the size.
        blocks: residual blocks at a quarter of the size.
        grain: strength of the noise that is added to the photographs, see `Grain`.
    """

    def __init__(self, width: int = 32, blocks: int = 5, grain: float = 0.0) -> None:
        super().__init__()
        self.grain = Grain(grain) if grain else nn.Identity()
        self.layers = nn.Sequential(
            ConvNorm(3, width, 9),
            nn.ReLU(inplace=True),
            ConvNorm(width, 2 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            ConvNorm(2 * width, 4 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            *(Residual(4 * width) for _ in range(blocks)),
            ResizeConv(4 * width, 2 * width),
            InstanceNorm(2 * width),
            nn.ReLU(inplace=True),
            ResizeConv(2 * width, width),
            InstanceNorm(width),
            nn.ReLU(inplace=True),
            FewChannelConv(width, 3, 9),
        )

    def forward(self, photos: Tensor) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], any H and W: the same shape, float32, in [0, 1]."""
        return at_any_size(lambda x: self.layers(self.grain(x)), photos)
