import pytest
import torch
import torch.nn.functional as F
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.blocks import FewChannelConv, InstanceNorm, Residual, ResizeConv
from allaprima.networks.fast import padded
from allaprima.networks.johnson import Johnson
from allaprima.networks.pruning import prune
from allaprima.networks.realtime import Realtime


@pytest.mark.parametrize("network", [Johnson, Realtime])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 16), (33, 62), (101, 100), (64, 3)])
@pytest.mark.parametrize("blocks", [0, 1, 5])
def test_any_size_comes_out_at_its_own(blocks, size, network):
    photos = torch.rand(2, 3, *size)
    painted = network(8, blocks)(photos)
    assert painted.shape == photos.shape and painted.dtype == torch.float32
    assert painted.min() >= 0 and painted.max() <= 1


def test_a_residual_block_in_painting_is_that_in_training_without_its_border():
    block, x = Residual(6, 4).double(), torch.randn(2, 6, 9, 12, dtype=torch.double)
    first, rectifier, (second, norm) = block.body
    inner = F.conv2d(F.pad(rectifier(first(x, False)), (1,) * 4), second.weight)[..., 1:-1, 1:-1]
    assert torch.allclose(block(x, circular=False), x[..., 1:-1, 1:-1] + norm(inner))


def test_width_and_depth_are_arguments():
    def parameters(network):
        return sum(parameter.numel() for parameter in network.parameters())

    assert parameters(networks.build("johnson")) > parameters(networks.build("johnson", width=32, blocks=3))
    assert parameters(networks.build("johnson", width=32, blocks=5)) == pytest.approx(1.68e6, rel=0.01)


@pytest.mark.parametrize("network", [Johnson, Realtime])
def test_in_training_a_picture_ends_nowhere(network):
    photos = torch.rand(2, 3, 48, 64)
    network = network(8, 1)
    turned = network(photos.roll((8, 12), (2, 3)), training=True).roll((-8, -12), (2, 3))
    assert torch.allclose(network(photos, training=True), turned, atol=1e-5)


def test_padding_from_the_opposite_side():
    x = torch.randn(2, 3, 8, 10, dtype=torch.double, requires_grad=True)
    assert torch.equal(padded(x, 3, circular=True), F.pad(x, (3,) * 4, mode="circular"))
    assert torch.autograd.gradcheck(lambda x: padded(x, 3, circular=True), x)


def test_input_noise_varies_even_places():
    even = torch.full((1, 3, 300, 64), 0.5)
    torch.manual_seed(0)
    smooth = Johnson(8, 1)
    noisy = Johnson(8, 1, input_noise=0.1, painting_noise=0.05)
    noisy.load_state_dict(smooth.state_dict())
    plain, varied = (network(even, training=True)[..., 16:-16, 16:-16].std((2, 3)) for network in (smooth, noisy))
    assert (plain < 1e-4).all() and (varied > 1e-3).all()
    assert torch.allclose((noisy.input_noise(even, training=True) - even).std(), torch.tensor(0.1), atol=0.005)


def test_input_noise_is_new_in_training_and_fixed_in_painting():
    even = torch.full((1, 3, 300, 64), 0.5)
    input_noise = Johnson(8, 1, input_noise=0.1, painting_noise=0.05).input_noise
    assert not torch.allclose(input_noise(even, training=True), input_noise(even, training=True))
    painted = input_noise(even, training=False)
    assert torch.equal(input_noise(even, training=False), painted)
    assert torch.equal(painted[..., :44, :], painted[..., 256:, :])
    assert torch.allclose((painted - even).std(), torch.tensor(0.05), atol=0.0025)


def test_unknown_networks_are_refused():
    with pytest.raises(UserError, match="take one of johnson, realtime"):
        networks.build("resnet")
    with pytest.raises(UserError, match="cannot be built"):
        networks.build("johnson", depth=3)
    with pytest.raises(UserError, match="cannot be built"):
        networks.build("johnson", width=-1)


@torch.no_grad()
def test_a_network_is_cut_out_of_a_larger_one():
    large, small = Realtime(8, blocks=3, hidden=6), Realtime(8, blocks=2, hidden=4)
    *kept, last = (layer for layer in large.layers if isinstance(layer, Residual))
    for index, block in enumerate(kept):
        (_, norm), _, (reader, _) = block.body
        norm.weight[index], reader.weight[:, index + 3] = 0, 0
    last.body[2][1].weight[:] = 0
    prune(large, small)
    photos = torch.rand(2, 3, 32, 48)
    assert torch.allclose(small(photos, training=True), large(photos, training=True), atol=1e-6)
    for other in (Realtime(8, 4, 6), Realtime(8, 3, 7), Realtime(6, 3, 6), Johnson(8, 3)):
        with pytest.raises(ValueError, match="no part"):
            prune(large, other)


def test_the_whole_of_a_network_is_its_copy():
    networks = [Johnson(8, blocks=2), Johnson(8, blocks=2)]
    prune(*networks)
    photos = torch.rand(1, 3, 32, 48)
    assert torch.equal(networks[0](photos), networks[1](photos))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 8)])
def test_resize_convolution_is_doubling_then_a_3x3_convolution(size):
    block = ResizeConv(5, 7).double()
    x = torch.randn(2, 5, *size, dtype=torch.double)
    doubled = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    assert torch.allclose(block(x, circular=False), F.conv2d(doubled, block.weight), atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 9])
def test_convolution_to_few_channels_is_a_convolution(kernel):
    block = FewChannelConv(5, 3, kernel).double()
    x = torch.randn(2, 5, 12, 10, dtype=torch.double)
    padded = F.pad(x, (kernel // 2,) * 4, mode="reflect")
    assert torch.allclose(block(x, circular=False), F.conv2d(padded, block.weight, block.bias), atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_is_pytorchs(batch):
    x = torch.randn(batch, 6, 9, 8).contiguous(memory_format=torch.channels_last)
    mine, theirs = InstanceNorm(6), nn.InstanceNorm2d(6, affine=True)
    nn.init.normal_(mine.weight)
    nn.init.normal_(mine.bias)
    theirs.load_state_dict(mine.state_dict())
    assert torch.allclose(mine(x), theirs(x), atol=1e-5)
    assert mine(x).is_contiguous(memory_format=torch.channels_last)
