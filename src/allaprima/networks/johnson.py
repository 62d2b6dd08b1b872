"""The image transformation network of Johnson, Alahi and Fei-Fei (2016), with instance norm and resize-convolutions."""

from torch import nn

from allaprima.networks.blocks import ConvNorm, FewChannelConv, InstanceNorm, Layers, Residual, ResizeConv
from allaprima.networks.settings import NetworkSettings


def johnson(settings: NetworkSettings) -> Layers:
    """Its layers, see `TransformationNetwork`."""
    width = settings.width
    return Layers(
        ConvNorm(3, width, 9, cell=1),
        nn.ReLU(inplace=True),
        ConvNorm(width, 2 * width, 3, cell=2, stride=2),
        nn.ReLU(inplace=True),
        ConvNorm(2 * width, 4 * width, 3, cell=4, stride=2),
        nn.ReLU(inplace=True),
        *(Residual(4 * width, hidden=4 * width) for _ in range(settings.blocks)),
        ResizeConv(4 * width, 2 * width),
        InstanceNorm(2 * width, cell=2),
        nn.ReLU(inplace=True),
        ResizeConv(2 * width, width),
        InstanceNorm(width, cell=1),
        nn.ReLU(inplace=True),
        FewChannelConv(width, 3, 9),
    )
