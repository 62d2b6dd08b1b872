"""The image transformation network of Johnson, Alahi and Fei-Fei (2016), with instance norm and resize-convolutions."""

from torch import nn

from allaprima.networks.base import TransformationNetwork
from allaprima.networks.blocks import ConvNorm, FewChannelConv, InstanceNorm, Layers, Residual, ResizeConv


class Johnson(TransformationNetwork):
    """Photograph to pastiche in one pass.

    Args:
        width: channels after the first convolution; twice and four times as many after the two that halve the size.
        blocks: residual blocks at a quarter of the size.
        input_noise, painting_noise: standard deviation of the noise that is added to the photographs, in training and
            in painting, see `InputNoise`.
    """

    def __init__(self, width: int = 32, blocks: int = 5, input_noise: float = 0.0, painting_noise: float = 0.0) -> None:
        layers = Layers(
            ConvNorm(3, width, 9),
            nn.ReLU(inplace=True),
            ConvNorm(width, 2 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            ConvNorm(2 * width, 4 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            *(Residual(4 * width, hidden=4 * width) for _ in range(blocks)),
            ResizeConv(4 * width, 2 * width),
            InstanceNorm(2 * width),
            nn.ReLU(inplace=True),
            ResizeConv(2 * width, width),
            InstanceNorm(width),
            nn.ReLU(inplace=True),
            FewChannelConv(width, 3, 9),
        )
        super().__init__(layers, input_noise, painting_noise)
