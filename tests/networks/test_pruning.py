import pytest
import torch

from allaprima import networks
from allaprima.networks.blocks import Residual
from allaprima.networks.pruning import pairs, prune
from allaprima.networks.settings import NetworkSettings


@torch.no_grad()
def test_prune():
    def realtime(width, blocks, hidden):
        settings = NetworkSettings(name="realtime", width=width, blocks=blocks, hidden=hidden, input_noise=0)
        network = networks.build(settings, ["a"], levels=2)
        network.codes.copy_(torch.rand_like(network.codes) + 0.5)
        return network

    large, small = realtime(8, blocks=3, hidden=6), realtime(8, blocks=2, hidden=4)
    *kept, last = (layer for layer in large.layers if isinstance(layer, Residual))
    for index, block in enumerate(kept):
        (_, norm), _, (reader, _) = block.body
        scale, shift = pairs(large, norm)
        scale[..., index] = shift[..., index] = 0
        reader.weight[:, index + 3] = 0
    for part in pairs(large, last.body[2][1]):
        part[:] = 0
    prune(large, small)
    photos = torch.rand(2, 3, 32, 48)
    for boldness in (0, 1):
        taken, whole = (each(photos, each.code("a", boldness), training=True) for each in (small, large))
        assert torch.allclose(taken, whole, atol=1e-6)
    johnson = networks.build(NetworkSettings(width=8, blocks=3), ["a"], levels=2)
    for other in (realtime(8, 4, 6), realtime(8, 3, 7), realtime(6, 3, 6), johnson):
        with pytest.raises(ValueError, match="no part"):
            prune(large, other)


def test_prune_to_the_same_size():
    both = [networks.build(NetworkSettings(width=8, blocks=2)) for _ in range(2)]
    prune(*both)
    photos = torch.rand(1, 3, 32, 48)
    assert torch.equal(both[0](photos), both[1](photos))
