import dataclasses
import time

import pytest
import torch

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.files import load_network, write_network
from allaprima.networks.multistyle import MultiStyle
from allaprima.networks.settings import NetworkSettings

from .conftest import TINY


def test_write_and_load(tmp_path, metadata):
    network = networks.build(NetworkSettings(**TINY))
    for each, claims in ((network, {}), (MultiStyle(network, ["a", "b"]), {"styles": ["a", "b"]})):
        write_network(tmp_path / "mine.safetensors", each, dataclasses.replace(metadata, **claims))
        again, told = load_network(tmp_path / "mine.safetensors")
        assert told == dataclasses.replace(metadata, **claims)
        assert all(
            torch.equal(weight.half().float(), again.state_dict()[name]) for name, weight in each.state_dict().items()
        )


def test_old_names_are_translated(write_claims, metadata):
    old = {"name": "johnson", "width": 4, "blocks": 1, "grain": 0.1, "painting_grain": 0.05}
    settings = {"optimizer": {"learning_rate": 0.1, "average_decay": 0.9}}
    weights = {"grain": 0.7}  # of a painting with that name
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
    state["layers.0.1.bias"][0] = value
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(state))
