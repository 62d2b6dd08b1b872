import dataclasses
import json

import pytest
from safetensors.torch import save_file

from allaprima import networks
from allaprima.networks.files import load_network
from allaprima.networks.settings import NetworkSettings

TINY = {"name": "johnson", "width": 4, "blocks": 1, "input_noise": 0.1, "painting_noise": 0.05}


@pytest.fixture
def metadata():
    return dataclasses.replace(load_network("kandinsky")[1], network=NetworkSettings(**TINY))


@pytest.fixture
def write_claims(tmp_path, metadata):
    """Write a network of `TINY`'s shape that claims to be something else."""

    def write(state=None, **claims):
        state = networks.build(NetworkSettings(**TINY)).state_dict() if state is None else state
        half = {name: weight.half() for name, weight in state.items()}
        save_file(half, tmp_path / "network.safetensors", {"allaprima": json.dumps(metadata.as_dict() | claims)})
        return tmp_path / "network.safetensors"

    return write
