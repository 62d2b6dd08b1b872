import dataclasses
import time

import pytest
import torch

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.blocks import InstanceNorm
from allaprima.networks.files import load_network, write_network
from allaprima.networks.settings import NetworkSettings

from .conftest import TINY


def test_write_and_load(tmp_path, metadata):
    several = [dataclasses.replace(metadata.paintings[0], name=name) for name in ("a", "b")]
    for paintings, levels in ((metadata.paintings, 1), (metadata.paintings, 2), (several, 2)):
        told = dataclasses.replace(metadata, paintings=paintings)
        network = networks.build(NetworkSettings(**TINY), told.names, levels)
        write_network(tmp_path / "mine.safetensors", network, told)
        again, read = load_network(tmp_path / "mine.safetensors")
        assert read == told and again.paintings == tuple(told.names) and again.levels == levels
        halves = {name: weight.half().float() for name, weight in network.state_dict().items()}
        assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in halves.items())


@torch.no_grad()
@pytest.mark.parametrize("several", [False, True])
def test_networks_of_before_have_codes(write_claims, metadata, several):
    network = networks.build(NetworkSettings(**TINY), ["a", "b"][: 1 + several])
    network.codes.copy_(torch.rand_like(network.codes))
    network.half().float()
    state = {f"{'network.' * several}{name}": weight for name, weight in network.layers.named_parameters("layers")}
    modules = [(name, module) for name, module in network.named_modules() if isinstance(module, InstanceNorm)]
    parts = {}
    for name, norm in modules:
        pairs = network.codes[:, 0, norm.first : norm.first + 2 * norm.channels]
        parts |= {f"{name}.weight": pairs[:, : norm.channels], f"{name}.bias": pairs[:, norm.channels :]}
    if several:
        state |= {f"network.{name}": weight[0] for name, weight in parts.items()}
        state |= {
            f"norms.{style}.{number}": weight[row].clone()
            for row, style in enumerate(("a", "b"))
            for number, weight in enumerate(parts.values())
        }
    else:
        state |= {name: weight[0].clone() for name, weight in parts.items()}
    old = {"style": dataclasses.asdict(metadata.paintings[0]), "styles": ["a", "b"] if several else None}
    claims = old | {"paintings": None, "content_weights": {"a": 0.7}}
    again, told = load_network(write_claims({name: weight.contiguous() for name, weight in state.items()}, **claims))
    assert told.names == (["a", "b"] if several else ["kandinsky"]) and told.content_weights == {"a": [0.7]}
    assert torch.equal(again.codes, network.codes)


def test_old_names_are_translated(write_claims, metadata):
    old = {"name": "johnson", "width": 4, "blocks": 1, "grain": 0.1, "painting_grain": 0.05}
    settings = {"optimizer": {"learning_rate": 0.1, "average_decay": 0.9}}
    weights = {"grain": [0.7]}  # of a painting with that name
    _, told = load_network(write_claims(network=old, settings=settings, content_weights=weights))
    renamed = {"optimizer": {"learning_rate": 0.1, "ema_decay": 0.9}}
    assert told == dataclasses.replace(metadata, settings=renamed, content_weights=weights)


@pytest.mark.parametrize(
    "claims",
    [
        {"blocks": 10**9},
        {"width": 10**6},
        {"width": 1e300},
        {"blocks": 2},
        {"blocks": 0},
        {"blocks": -1},
        {"blocks": "5"},
        {"width": None},
        {"name": "realtime"},
        {"name": "torch.nn.Linear"},
        {"path": "/"},
    ],
)
def test_false_network_settings_are_refused(write_claims, claims):
    began = time.monotonic()
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(network=TINY | claims))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_weights_are_refused(write_claims, value):
    state = networks.build(NetworkSettings(**TINY)).state_dict()
    state["codes"][0] = value
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(state))
