import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from allaprima import networks
from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.networks.files import load_network, write_network
from allaprima.networks.settings import NetworkSettings
from allaprima.training.initialization import initial_network

from ..conftest import SMALL, train_config


def test_initial_network(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0")
    first = train(train_config(*small))
    second = train(train_config(*small, "style=udnie", f"init={first}", "optimizer.learning_rate=0"))
    mine, theirs = load_file(first), load_file(second)
    assert mine["codes"].shape[:2] == (1, 2)
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
        ([], ("gallery", False)),
        (["style=woman_with_a_hat"], ("gallery", False)),
        (["style=udnie", "network=realtime"], ("kandinsky", False)),
        (["styles=[udnie,kandinsky]"], ("gallery", False)),
        (["network.blocks=3", "init=udnie"], ("udnie", True)),
        (["network.width=8"], None),
        (["init=scratch"], None),
    ],
)
def test_bundled_initial_network(overrides, start):
    config = train_config(*overrides)
    arguments = NetworkSettings(**config.network)
    _, ancestor = initial_network(arguments, config.styles or [config.style.name], 2, config.init)
    assert (ancestor and (ancestor["style"], ancestor["pruned"])) == start


@torch.no_grad()
def test_codes_from_the_base_network():
    base, metadata = load_network("base/johnson")
    known = metadata.names[1]
    network, _ = initial_network(metadata.network, [known, "of nobody"], 2, "auto")
    mine, mean = network.codes
    assert torch.equal(mine, base.codes[1].expand(2, -1))
    assert torch.allclose(mean, base.codes[:, 0].mean(0), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(("levels", "begun"), [(1, [0.5]), (2, [0, 1])])
def test_codes_of_other_levels(tmp_path, levels, begun):
    network = networks.build(NetworkSettings(width=8, blocks=1), ["kandinsky"], 2)
    network.codes[:, 1] += 1
    metadata = dataclasses.replace(load_network("kandinsky")[1], network=NetworkSettings(width=8, blocks=1))
    write_network(tmp_path / "pair.safetensors", network, metadata)
    again, _ = initial_network(metadata.network, ["kandinsky"], levels, str(tmp_path / "pair.safetensors"))
    assert torch.equal(again.codes, torch.stack([network.code("kandinsky", boldness) for boldness in begun])[None])
