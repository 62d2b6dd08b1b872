import dataclasses
import json
import time

import pytest
import torch
from safetensors.torch import save_file

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.files import load_network, write_network
from allaprima.networks.multistyle import MultiStyle

SMALL = {"name": "johnson", "width": 4, "blocks": 1, "input_noise": 0.1, "painting_noise": 0.05}


@pytest.fixture
def metadata():
    return dataclasses.replace(load_network("kandinsky")[1], network=SMALL)


@pytest.fixture
def written(tmp_path, metadata):
    """Write a network of `SMALL`'s shape that claims to be something else."""

    def write(state=None, **claims):
        state = networks.build(**SMALL).state_dict() if state is None else state
        half = {name: weight.half() for name, weight in state.items()}
        save_file(half, tmp_path / "network.safetensors", {"allaprima": json.dumps(metadata.as_dict() | claims)})
        return tmp_path / "network.safetensors"

    return write


def test_what_was_written_is_read_again(tmp_path, metadata):
    network = networks.build(**SMALL)
    for each, claims in ((network, {}), (MultiStyle(network, ["a", "b"]), {"styles": ["a", "b"]})):
        write_network(tmp_path / "mine.safetensors", each, dataclasses.replace(metadata, **claims))
        again, told = load_network(tmp_path / "mine.safetensors")
        assert told == dataclasses.replace(metadata, **claims)
        assert all(
            torch.equal(weight.half().float(), again.state_dict()[name]) for name, weight in each.state_dict().items()
        )


def test_old_names_are_translated(written, metadata):
    old = {"name": "johnson", "width": 4, "blocks": 1, "grain": 0.1, "painting_grain": 0.05}
    settings = {"optimizer": {"average_decay": 0.9}}
    _, told = load_network(written(network=old, settings=settings))
    assert told == dataclasses.replace(metadata, settings={"optimizer": {"ema_decay": 0.9}})


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
def test_a_file_that_claims_another_network_is_refused_at_once(written, claims):
    began = time.monotonic()
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(written(network=SMALL | claims))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(written, value):
    state = networks.build(**SMALL).state_dict()
    state["layers.0.1.bias"][0] = value
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(written(state))


@pytest.mark.parametrize(
    "claims",
    [
        {"network": None},
        {"network": []},
        {"style": None},
        {"style": {}},
        {"styles": 3},
        {"styles": []},
        {"style_size": 1e9},
        {"style_size": "384"},
        {"loss": None},
        {"loss_network": 5},
        {"steps": -1},
        {"seconds": float("nan")},
        {"validation": {"total": "low"}},
        {"content_weights": {"kandinsky": None}},
        {"content_weights": {"kandinsky": float("nan")}},
        {"validation": {"total": float("inf")}},
        {"equivalent_iterations": {"256": 100}},
        {"equivalent_iterations": {"256": {"noise": 100}}},
        {"init": "kandinsky"},
    ],
)
def test_metadata_of_wrong_types_are_refused(written, claims):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(written(**claims))


@pytest.mark.parametrize("field", ["name", "title", "artist", "source"])
@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "${oc.env:HOME}", "\x00", "\ud800", "\u202ea"])
def test_texts_that_would_do_something_are_refused(written, metadata, field, text):
    with pytest.raises(UserError, match="not a network of this project") as caught:
        load_network(written(style=dataclasses.asdict(metadata.style) | {field: text}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "/tmp/a", "", ".."])
def test_a_name_that_is_a_path_is_refused(written, metadata, name):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(written(style=dataclasses.asdict(metadata.style) | {"name": name}))


def test_an_interpolation_anywhere_is_refused(written, metadata):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(written(loss=metadata.loss | {"weights": "${oc.env:HOME}"}))
