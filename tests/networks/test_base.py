import pytest
import torch

from allaprima import networks
from allaprima.networks.settings import NetworkSettings


@pytest.mark.parametrize("architecture", networks.NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (33, 62), (101, 100), (64, 3)])
@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_output_size(blocks, size, architecture):
    photos = torch.rand(2, 3, *size)
    painted = networks.build(NetworkSettings(name=architecture, width=8, blocks=blocks))(photos)
    assert painted.shape == photos.shape and painted.dtype == torch.float32
    assert painted.min() >= 0 and painted.max() <= 1


def test_parameter_count():
    def parameters(network):
        return sum(parameter.numel() for parameter in network.parameters())

    assert parameters(networks.build(NetworkSettings())) > parameters(
        networks.build(NetworkSettings(width=32, blocks=3))
    )
    assert parameters(networks.build(NetworkSettings(width=32, blocks=5))) == pytest.approx(1.68e6, rel=0.01)


@pytest.mark.parametrize("architecture", networks.NETWORKS)
def test_training_is_circular(architecture):
    photos = torch.rand(2, 3, 48, 64)
    network = networks.build(NetworkSettings(name=architecture, width=8, blocks=1, input_noise=0))
    turned = network(photos.roll((8, 12), (2, 3)), training=True).roll((-8, -12), (2, 3))
    assert torch.allclose(network(photos, training=True), turned, atol=1e-5)


def two_codes(network):
    """Two codes of one network, far apart."""
    torch.manual_seed(1)
    return torch.randn(2, network.codes.shape[-1])


@torch.no_grad()
@pytest.mark.parametrize("architecture", networks.NETWORKS)
def test_a_code_for_each_picture(architecture):
    network = networks.build(NetworkSettings(name=architecture, width=8, blocks=2))
    photos, codes = torch.rand(2, 3, 30, 41), two_codes(network)
    alone = torch.cat([network(photo, code) for photo, code in zip(photos.split(1), codes, strict=True)])
    assert torch.allclose(network(photos, codes), alone, atol=1e-5)
    assert (network(photos[:1], codes[0]) - network(photos[:1], codes[1])).abs().mean() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("architecture", networks.NETWORKS)
def test_codes_by_place(architecture):
    network = networks.build(NetworkSettings(name=architecture, width=8, blocks=2))
    photo, codes = torch.rand(1, 3, 41, 150), two_codes(network)
    half = torch.full((2, 41, 150), 0.5)
    assert torch.allclose(network(photo, codes, half), network(photo, codes.mean(0)), atol=1e-5)
    left = (torch.arange(150) < 75).float().expand(41, 150)
    both = network(photo, codes, torch.stack([left, 1 - left]))
    assert not torch.allclose(both, network(photo, codes, half), atol=1e-3)
    assert torch.allclose(both, network(photo, codes.flip(0), torch.stack([1 - left, left])), atol=1e-5)


@torch.no_grad()
def test_code_of_a_blend():
    network = networks.build(NetworkSettings(width=8, blocks=1), ["a", "b"], levels=2)
    network.codes.copy_(torch.arange(4.0).view(2, 2, 1).expand_as(network.codes))
    for blend, boldness, value in (("a", 0, 0), ("a", 1, 1), ("b", 0.5, 2.5), ({"a": 0.75, "b": 0.25}, 1, 1.5)):
        assert torch.allclose(network.code(blend, boldness), torch.tensor(float(value)))
    assert torch.allclose(network.code("b", 1.5), torch.tensor(3.5))
    assert torch.allclose(network.code(boldness=0), torch.tensor(1.0))
