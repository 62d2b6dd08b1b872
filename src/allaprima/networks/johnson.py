"""The image transformation network of Johnson, Alahi and Fei-Fei (2016), with instance norm and resize-convolutions."""

from torch import nn

from allaprima.networks.base import TransformationNetwork
from allaprima.networks.blocks import ConvNorm, FewChannelConv, InstanceNorm, Layers, Residual, ResizeConv
from allaprima.networks.settings import NetworkSettings


class Johnson(TransformationNetwork):
    """Photograph to pastiche in one pass."""

    def __init__(self, settings: NetworkSettings) -> None:
        width = settings.width
        layers = Layers(
            ConvNorm(3, width, 9),
            nn.ReLU(inplace=True),
            ConvNorm(width, 2 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            ConvNorm(2 * width, 4 * width, 3, stride=2),
            nn.ReLU(inplace=True),
            *(Residual(4 * width, hidden=4 * width) for _ in range(settings.blocks)),
            ResizeConv(4 * width, 2 * width),
            InstanceNorm(2 * width),
            nn.ReLU(inplace=True),
            ResizeConv(2 * width, width),
            InstanceNorm(width),
            nn.ReLU(inplace=True),
            FewChannelConv(width, 3, 9),
        )
        super().__init__(layers, settings)
