"""A network's file: its weights in half precision and, as metadata, all that is needed to use and to judge it."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.media.bundled import bundled_file, bundled_names
from allaprima.media.files import write_atomically
from allaprima.networks.multistyle import MultiStyle


def network_path(name: str | Path) -> Path:
    """The file of a network that the project carries, by its name, or of any other, by its path.

    Raises:
        UserError: there is no such file.
    """
    path = bundled_file(f"models/{name}.safetensors") or Path(str(name))
    if not path.is_file():
        carried = ", ".join(bundled_names("models"))
        raise UserError(f"there is no network '{name}': take one of {carried}, or the path of a .safetensors file")
    return path


def load_network(name: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """A network that the project carries, by its name, or any other, by its file's path, and what its file says.

    Raises:
        UserError: there is no such network, or the file is no network of this project.
    """
    path = network_path(name)
    try:
        path.open("rb").close()  # safetensors does not tell a lack of permission from a damaged file
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {})["allaprima"])
            if missing := {"network", "style", "style_size", "loss", "loss_network"} - metadata.keys():
                raise KeyError(*missing)
            if missing := {"name", "title", "artist", "source", "sha256"} - metadata["style"].keys():
                raise KeyError(*missing)
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
        network = networks.build(**metadata["network"])
        if metadata.get("styles"):
            network = MultiStyle(network, metadata["styles"])
        network.load_state_dict(state)
    except PermissionError as error:
        raise UserError(f"no permission to read {path}") from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path} is not a network of this project: give a file that train.py wrote") from error
    return network, metadata


def write_network(path: Path, network: nn.Module, metadata: dict[str, Any]) -> None:
    """Write a network and what is to be said of it. Raises ImageError where that is not possible."""
    state = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    write_atomically(path, save(state, {"allaprima": json.dumps(metadata)}))
