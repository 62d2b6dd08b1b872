import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.networks.files import load_network
from allaprima.networks.settings import NetworkSettings
from allaprima.training.initialization import initial_network

from ..conftest import SMALL, train_config


def test_initial_network(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    first = train(train_config(*small))
    second = train(train_config(*small, "style=udnie", f"init={first}", "optimizer.learning_rate=0"))
    mine, theirs = load_file(first), load_file(second)
    assert all(torch.equal(mine[name], value) for name, value in theirs.items())
    with safe_open(second, "pt") as file:
        ancestor = json.loads(file.metadata()["allaprima"])["init"]
    assert (ancestor["style"], ancestor["steps"], ancestor["init"]) == ("kandinsky", 4, None)
    assert ancestor["loss"]["content_distance"] == train_config().loss.content_distance
    assert ancestor["settings"]["max_steps"] == 4
    with pytest.raises(UserError, match="give the same network="):
        train(train_config(*small, f"init={first}", "network.width=16"))


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        ([], ("base", False)),
        (["style=woman_with_a_hat"], ("base", False)),
        (["style=udnie", "network=realtime"], ("kandinsky", False)),
        (["styles=[udnie,kandinsky]"], None),
        (["network.blocks=3", "init=udnie"], ("udnie", True)),
        (["network.width=8"], None),
        (["init=scratch"], None),
    ],
)
def test_bundled_initial_network(overrides, start):
    config = train_config(*overrides)
    arguments = NetworkSettings(**config.network)
    _, ancestor = initial_network(arguments, config.styles, config.init, config.style.name)
    assert (ancestor and (ancestor["style"], ancestor["pruned"])) == start


@torch.no_grad()
def test_norms_from_the_base_network():
    base, metadata = load_network("base/johnson")
    photos = torch.rand(1, 3, 32, 32)
    known = metadata.styles[0]
    arguments = metadata.network
    network, _ = initial_network(arguments, None, "auto", known)
    base.network.input_noise.painting_std = network.input_noise.painting_std = 0
    assert torch.allclose(network(photos), base(photos, known), atol=1e-5)
    other, _ = initial_network(arguments, None, "auto", "of nobody")
    mean = torch.stack([norms[0] for norms in base.norms.values()]).mean(0)
    assert torch.allclose(other.state_dict()[base.names[0]], mean)
