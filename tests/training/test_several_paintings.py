import pytest
import torch
from safetensors.torch import load_file

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.networks.files import load_network

from ..conftest import SMALL, train_config


def test_several_paintings(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=8", "data.workers=0", "styles=[udnie,great_wave]")
    path = train(train_config(*small, "optimizer.learning_rate=1e-2"))
    assert path.parts[-4] == "gallery" and path.name == "gallery.safetensors"
    network, metadata = load_network(path)
    assert metadata.names == ["udnie", "great_wave"] and list(metadata.content_weights) == metadata.names
    assert metadata.paintings[1].artist and network.codes.shape[:2] == (2, 2)
    photos = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        udnie, wave = (network(photos, network.code(style)) for style in metadata.names)
    assert (udnie - wave).abs().mean() > 1e-3
    with pytest.raises(UserError, match="2 paintings"):
        Stylizer.load(path)
    again = train(train_config(*small, f"init={path}", "optimizer.learning_rate=0"))
    theirs = load_file(again)
    assert all(torch.equal(value, theirs[name]) for name, value in load_file(path).items())
    single = train(train_config(*small[:-1], f"init={path}", "optimizer.learning_rate=0", "style=udnie"))
    with torch.no_grad():
        assert torch.allclose(load_network(single)[0](photos), udnie, atol=1e-2)
