import pytest
import torch
from safetensors.torch import load_file

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.networks.files import load_network

from ..conftest import SMALL, train_config


def test_one_style(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=2", "data.workers=0")
    _, metadata = load_network(train(train_config(*small, "styles=[udnie]")))
    assert metadata.styles == ["udnie"]


def test_several_styles(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=8", "data.workers=0", "styles=[udnie,great_wave]")
    path = train(train_config(*small, "optimizer.learning_rate=1e-2"))
    assert path.parts[-4] == "base" and path.name == "base.safetensors"
    network, metadata = load_network(path)
    assert metadata.styles == ["udnie", "great_wave"] and set(metadata.content_weights) == {"udnie", "great_wave"}
    photos = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        udnie, wave = (network(photos, style) for style in metadata.styles)
    assert (udnie - wave).abs().mean() > 1e-3
    with pytest.raises(UserError, match="2 paintings"):
        Stylizer.load(path)
    again = train(train_config(*small, f"init={path}", "optimizer.learning_rate=0"))
    theirs = load_file(again)
    assert all(torch.equal(value, theirs[name]) for name, value in load_file(path).items())
    single = train(train_config(*small[:-1], f"init={path}", "optimizer.learning_rate=0", "style=udnie"))
    with torch.no_grad():
        assert torch.allclose(load_network(single)[0](photos), udnie, atol=1e-2)
