"""Whatever a stranger sends: it works, or it is refused in words.

HYPOTHESIS_PROFILE=longest python -m pytest tests/test_properties.py looks further.
"""

import copy
import dataclasses
import functools
import io
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save

from allaprima import networks
from allaprima.commands.compare import CompareSettings
from allaprima.commands.export import ExportSettings
from allaprima.commands.infer import InferSettings
from allaprima.commands.optimize import OptimizeSettings
from allaprima.commands.serve import ServeSettings
from allaprima.commands.train import TrainSettings
from allaprima.errors import FileError, UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.media.images import READ_FORMATS, open_upright
from allaprima.networks.files import load_network
from allaprima.networks.settings import NetworkSettings

from .conftest import compose_config

TINY = {"name": "johnson", "width": 2, "blocks": 1, "input_noise": 0.1, "painting_noise": 0.05}
COMMANDS = {
    "train": TrainSettings,
    "infer": InferSettings,
    "optimize": OptimizeSettings,
    "compare": CompareSettings,
    "export": ExportSettings,
    "serve": ServeSettings,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
# Places and new values of bytes; and where a file is cut off.
DAMAGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20)
CUT = st.floats(0, 1)


def damaged(content, damage, cut):
    spoilt = bytearray(content)
    for place, value in damage:
        spoilt[int(place * len(spoilt))] = value
    return bytes(spoilt[: int(cut * len(spoilt)) + 1])


def check_message(error):
    assert str(error).isprintable() and len(str(error)) < 10_000


@functools.cache
def network_file():
    metadata = dataclasses.replace(load_network("kandinsky")[1], network=NetworkSettings(**TINY))
    state = {name: weight.half() for name, weight in networks.build(NetworkSettings(**TINY)).state_dict().items()}
    return state, metadata.as_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


def check_network_file(path):
    try:
        network, metadata = load_network(path)
    except UserError as error:
        check_message(error)
    else:
        assert network(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8) and metadata.as_json()


@given(damage=DAMAGE, cut=CUT)
def test_damaged_network_files(folder, damage, cut):
    state, metadata = network_file()
    path = folder / "network.safetensors"
    path.write_bytes(damaged(save(state, {"allaprima": json.dumps(metadata)}), damage, cut))
    check_network_file(path)


@given(data=st.data())
def test_changed_network_metadata(folder, data):
    state, original = network_file()
    metadata = copy.deepcopy(original)
    group = data.draw(st.sampled_from([metadata, metadata["paintings"][0], metadata["network"], metadata["loss"]]))
    group[data.draw(st.sampled_from([*group, "other"]))] = data.draw(JSON)
    path = folder / "network.safetensors"
    path.write_bytes(save(state, {"allaprima": json.dumps(metadata)}))
    check_network_file(path)


@functools.cache
def picture_file(kind, mode):
    file = io.BytesIO()
    image = Image.effect_noise((24, 20), 80).convert(mode)
    image.save(file, kind, **({"exif": Image.Exif()} if kind == "JPEG" else {}))
    return file.getvalue()


@given(kind=st.sampled_from(READ_FORMATS), mode=st.sampled_from(["RGB", "L", "P"]), damage=DAMAGE, cut=CUT)
def test_damaged_picture_files(kind, mode, damage, cut):
    saved_mode = "L" if (kind, mode) in (("JPEG", "P"), ("WEBP", "P")) else mode
    try:
        image = open_upright(io.BytesIO(damaged(picture_file(kind, saved_mode), damage, cut)), name="it")
    except FileError as error:
        check_message(error)
    else:
        assert image.mode in ("RGB", "RGBA")


@functools.cache
def given_settings(command):
    return OmegaConf.to_container(compose_config(command), resolve=True)


@given(command=st.sampled_from(sorted(COMMANDS)), data=st.data())
def test_settings(command, data):
    values = copy.deepcopy(given_settings(command))
    name = data.draw(st.sampled_from(sorted(values)))
    if isinstance(values[name], dict) and data.draw(st.booleans()):
        values = values | {name: values[name] | {data.draw(st.sampled_from(sorted(values[name]))): data.draw(JSON)}}
    else:
        values[name] = data.draw(JSON)
    try:
        chosen = COMMANDS[command].checked(values)
    except UserError as error:
        assert name in str(error)
    else:
        assert COMMANDS[command].checked(values) == chosen


@functools.cache
def stylizer():
    return Stylizer(networks.build(NetworkSettings(**TINY)), load_network("kandinsky")[1], engine="torch", device="cpu")


@given(
    shape=st.lists(st.integers(0, 9) | st.just(3), max_size=5),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.float64, torch.bfloat16, torch.uint8, torch.bool]),
    value=st.floats(width=16),
    size=st.none() | st.integers(-2, 40) | st.floats() | st.text(),
    strength=st.floats() | st.none() | st.text(),
)
def test_tensors(shape, dtype, value, size, strength):
    image = torch.full(shape, value if dtype.is_floating_point else 1, dtype=dtype)
    try:
        painted = stylizer()(image, strength, size=size)
    except (ValueError, TypeError) as error:
        check_message(error)
    else:
        assert painted.shape == image.shape and painted.dtype == dtype
        assert painted.isfinite().all()
