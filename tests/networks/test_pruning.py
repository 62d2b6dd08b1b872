import pytest
import torch

from allaprima.networks.blocks import Residual
from allaprima.networks.johnson import Johnson
from allaprima.networks.pruning import prune
from allaprima.networks.realtime import Realtime
from allaprima.networks.settings import NetworkSettings


@torch.no_grad()
def test_prune():
    def realtime(width, blocks, hidden):
        return Realtime(NetworkSettings(width=width, blocks=blocks, hidden=hidden, input_noise=0))

    large, small = realtime(8, blocks=3, hidden=6), realtime(8, blocks=2, hidden=4)
    *kept, last = (layer for layer in large.layers if isinstance(layer, Residual))
    for index, block in enumerate(kept):
        (_, norm), _, (reader, _) = block.body
        norm.weight[index] = 0
        reader.weight[:, index + 3] = 0
    last.body[2][1].weight[:] = 0
    prune(large, small)
    photos = torch.rand(2, 3, 32, 48)
    assert torch.allclose(small(photos, training=True), large(photos, training=True), atol=1e-6)
    for other in (realtime(8, 4, 6), realtime(8, 3, 7), realtime(6, 3, 6), Johnson(NetworkSettings(width=8, blocks=3))):
        with pytest.raises(ValueError, match="no part"):
            prune(large, other)


def test_prune_to_the_same_size():
    networks = [Johnson(NetworkSettings(width=8, blocks=2)) for _ in range(2)]
    prune(*networks)
    photos = torch.rand(1, 3, 32, 48)
    assert torch.equal(networks[0](photos), networks[1](photos))
