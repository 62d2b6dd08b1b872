"""A network's file: its weights in half precision and, as metadata, all that is needed to use and to judge it."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from allaprima import networks
from allaprima.errors import UserError, choice_advice
from allaprima.media.bundled import bundled_file, bundled_names
from allaprima.media.files import write_atomically
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.blocks import InstanceNorm
from allaprima.networks.metadata import Metadata, read_metadata
from allaprima.old_names import with_codes

GALLERY = "base/johnson"  # the bundled network of several paintings


def network_name(style: str, fast: bool) -> str:
    """The name of the bundled network of a painting, Johnson's or the one made for speed."""
    return f"{style}_realtime" if fast else style


def network_path(name: str | Path) -> Path:
    """The file of a bundled network, by its name, or of another, by its path. Raises UserError if there is none."""
    path = bundled_file(f"models/{name}.safetensors") or Path(str(name))
    if not path.is_file():
        if len(path.parts) > 1:
            raise UserError(f"there is no file {name}: training says where the network is, runs/NAME/DATE_TIME/models")
        advice = choice_advice(str(name), bundled_names("models"))
        raise UserError(f"there is no network '{name}': {advice}, or the path of a .safetensors file")
    return path


def load_network(name: str | Path) -> tuple[TransformationNetwork, Metadata]:
    """A bundled network, by name, or any other, by path, and what its file says. Raises UserError if it is none."""
    path = network_path(name)
    try:
        path.open("rb").close()  # safetensors does not tell a lack of permission from a damaged file
        with safe_open(path, "pt") as file:
            metadata = read_metadata((file.metadata() or {})["allaprima"])
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
        state = checked(state, metadata)
        network = networks.build(metadata.network, metadata.names, state["codes"].shape[1])
        network.load_state_dict(state)
    except PermissionError as error:
        raise UserError(f"no permission to read {path}") from error
    except (UserError, OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not a network of this project: give a file that training wrote") from error
    return network, metadata


def checked(state: dict[str, Tensor], metadata: Metadata) -> dict[str, Tensor]:
    """A file's weights, with a table of codes. Raises ValueError unless they are those that its metadata describe.

    A stranger's file can claim any size. So nothing is built in memory before its shapes are known to be those in the
    file, and not even without memory what has more blocks, channels or paintings than the file has weights.
    """
    largest = max(len(state), *(max(weight.shape, default=0) for weight in state.values()))
    claimed = metadata.network.blocks, metadata.network.width, metadata.network.hidden or 0, len(metadata.paintings)
    if max(claimed) > largest:
        raise ValueError("the network would be larger than the file")
    with torch.device("meta"):
        described = networks.build(metadata.network)
    norms = [name for name, module in described.named_modules() if isinstance(module, InstanceNorm)]
    state = with_codes(state, norms, metadata.names)
    expected = {name: weight.shape for name, weight in described.state_dict().items()}
    levels = state["codes"].shape[1]
    expected["codes"] = torch.Size([len(metadata.paintings), levels, expected["codes"][-1]])
    if {name: weight.shape for name, weight in state.items()} != expected or levels not in (1, 2):
        raise ValueError("the weights are of another network")
    if not all(weight.isfinite().all() for weight in state.values()):
        raise ValueError("weights that are NaN or infinite")
    return state


def write_network(path: Path, network: nn.Module, metadata: Metadata) -> None:
    """Write a network and what is to be said of it. Raises FileError where that is not possible."""
    state = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    write_atomically(path, save(state, {"allaprima": metadata.as_json()}))
