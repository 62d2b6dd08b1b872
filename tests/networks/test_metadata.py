import dataclasses
import time

import pytest

from allaprima.errors import UserError
from allaprima.networks.files import load_network


@pytest.mark.parametrize(
    "claims",
    [
        {"network": None},
        {"network": []},
        {"paintings": None},
        {"paintings": []},
        {"paintings": [{}]},
        {"paintings": "kandinsky"},
        {"style_size": 1e9},
        {"style_size": "384"},
        {"loss": None},
        {"loss_network": 5},
        {"steps": -1},
        {"seconds": float("nan")},
        {"validation": {"total": "low"}},
        {"content_weights": {"kandinsky": None}},
        {"content_weights": {"kandinsky": [None]}},
        {"content_weights": {"kandinsky": float("nan")}},
        {"validation": {"total": float("inf")}},
        {"equivalent_iterations": {"256": 100}},
        {"equivalent_iterations": {"256": {"noise": 100}}},
        {"init": "kandinsky"},
    ],
)
def test_wrong_types_are_refused(write_claims, claims):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(**claims))


@pytest.mark.parametrize("field", ["name", "title", "artist", "source"])
@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "${oc.env:HOME}", "\x00", "\ud800", "\u202ea"])
def test_unsafe_texts_are_refused(write_claims, metadata, field, text):
    with pytest.raises(UserError, match="not a network of this project") as caught:
        load_network(write_claims(paintings=[dataclasses.asdict(metadata.paintings[0]) | {field: text}]))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "/tmp/a", "", ".."])
def test_paths_as_names_are_refused(write_claims, metadata, name):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(paintings=[dataclasses.asdict(metadata.paintings[0]) | {"name": name}]))


def test_interpolations_are_refused(write_claims, metadata):
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(write_claims(loss=metadata.loss | {"weights": "${oc.env:HOME}"}))


@pytest.mark.parametrize("names", [["a", "a"], ["a", "b"], [str(number) for number in range(100_000)]])
def test_false_paintings_are_refused(write_claims, metadata, names):
    """Nor is it tried for long."""
    paintings = [dataclasses.asdict(metadata.paintings[0]) | {"name": name} for name in names]
    path = write_claims(paintings=paintings)
    began = time.monotonic()
    with pytest.raises(UserError, match="not a network of this project"):
        load_network(path)
    assert time.monotonic() - began < 5
