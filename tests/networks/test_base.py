import pytest
import torch

from allaprima.networks.johnson import Johnson
from allaprima.networks.realtime import Realtime
from allaprima.networks.settings import NetworkSettings


@pytest.mark.parametrize("architecture", [Johnson, Realtime])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (33, 62), (101, 100), (64, 3)])
@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_output_size(blocks, size, architecture):
    photos = torch.rand(2, 3, *size)
    painted = architecture(NetworkSettings(width=8, blocks=blocks))(photos)
    assert painted.shape == photos.shape and painted.dtype == torch.float32
    assert painted.min() >= 0 and painted.max() <= 1


def test_parameter_count():
    def parameters(network):
        return sum(parameter.numel() for parameter in network.parameters())

    assert parameters(Johnson(NetworkSettings())) > parameters(Johnson(NetworkSettings(width=32, blocks=3)))
    assert parameters(Johnson(NetworkSettings(width=32, blocks=5))) == pytest.approx(1.68e6, rel=0.01)


@pytest.mark.parametrize("architecture", [Johnson, Realtime])
def test_training_is_circular(architecture):
    photos = torch.rand(2, 3, 48, 64)
    network = architecture(NetworkSettings(width=8, blocks=1, input_noise=0))
    turned = network(photos.roll((8, 12), (2, 3)), training=True).roll((-8, -12), (2, 3))
    assert torch.allclose(network(photos, training=True), turned, atol=1e-5)
