import pytest
import torch
import torch.nn.functional as F
from torch import nn

from allaprima import networks
from allaprima.networks.blocks import FewChannelConv, InputNoise, InstanceNorm, Pass, Residual, ResizeConv, at_cells
from allaprima.networks.settings import NetworkSettings

NO_CODE = Pass(torch.empty(1, 0))


def test_residual_block():
    block = Residual(6, 4).double()
    x = torch.randn(2, 6, 9, 12, dtype=torch.double)
    first, rectifier, (second, norm) = block.body
    norm.first = 8
    how = Pass(torch.randn(1, 20, dtype=torch.double))
    inner = F.conv2d(F.pad(rectifier(first(x, how)), (1,) * 4), second.weight)[..., 1:-1, 1:-1]
    assert torch.allclose(block(x, how), x[..., 1:-1, 1:-1] + norm(inner, how))


def test_input_noise_varies_uniform_areas():
    even = torch.full((1, 3, 300, 64), 0.5)
    torch.manual_seed(0)
    smooth = networks.build(NetworkSettings(width=8, blocks=1, input_noise=0))
    noisy = networks.build(NetworkSettings(width=8, blocks=1, input_noise=0.1))
    noisy.load_state_dict(smooth.state_dict())
    plain, varied = (network(even, training=True)[..., 16:-16, 16:-16].std((2, 3)) for network in (smooth, noisy))
    assert (plain < 1e-4).all() and (varied > 1e-3).all()
    assert torch.allclose((noisy.input_noise(even, training=True) - even).std(), torch.tensor(0.1), atol=0.005)


def test_input_noise_is_fixed_in_painting():
    even = torch.full((1, 3, 300, 64), 0.5)
    input_noise = InputNoise(0.1, 0.05)
    assert not torch.allclose(input_noise(even, training=True), input_noise(even, training=True))
    painted = input_noise(even, training=False)
    assert torch.equal(input_noise(even, training=False), painted)
    assert torch.equal(painted[..., :44, :], painted[..., 256:, :])
    assert torch.allclose((painted - even).std(), torch.tensor(0.05), atol=0.0025)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 8)])
def test_resize_convolution(size):
    block = ResizeConv(5, 7).double()
    x = torch.randn(2, 5, *size, dtype=torch.double)
    doubled = F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (1, 1, 1, 1), mode="reflect")
    assert torch.allclose(block(x, NO_CODE), F.conv2d(doubled, block.weight), atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 9])
def test_few_channel_convolution(kernel):
    block = FewChannelConv(5, 3, kernel).double()
    x = torch.randn(2, 5, 12, 10, dtype=torch.double)
    padded = F.pad(x, (kernel // 2,) * 4, mode="reflect")
    assert torch.allclose(block(x, NO_CODE), F.conv2d(padded, block.weight, block.bias), atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm(batch):
    x = torch.randn(batch, 6, 9, 8).contiguous(memory_format=torch.channels_last)
    mine, theirs = InstanceNorm(6, cell=1), nn.InstanceNorm2d(6, affine=True)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    code = torch.cat([theirs.weight, theirs.bias]).detach()
    for codes in (code[None], code.expand(batch, 12)):
        painted = mine(x, Pass(codes))
        assert torch.allclose(painted, theirs(x), atol=1e-5)
        assert painted.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("cell", "lost"), [(1, 0), (2, 4), (4, 2)])
def test_shares_lie_where_the_layers_do(cell, lost):
    columns = torch.arange(80.0).expand(1, 1, 48, 80)
    found = at_cells(columns, cell, torch.Size([48 // cell - 2 * lost, 80 // cell - 2 * lost]))
    assert torch.equal(found[0, 0, 0], torch.arange(lost, 80 // cell - lost) * cell + (cell - 1) / 2)


def test_instance_norm_by_place():
    x, codes = torch.randn(1, 3, 8, 12), torch.randn(2, 6)
    norm = InstanceNorm(3, cell=1)
    share = torch.rand(1, 1, 8, 12)
    one, other = norm(x, Pass(codes[:1])), norm(x, Pass(codes[1:]))
    mixed = norm(x, Pass(codes, shares=torch.cat([share, 1 - share], 1)))
    assert torch.allclose(mixed, share * one + (1 - share) * other, atol=1e-5)
