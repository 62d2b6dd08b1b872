"""A network's file: its weights in half precision and, as metadata, all that is needed to use and to judge it."""

import dataclasses
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.media.bundled import bundled_file, bundled_names
from allaprima.media.files import write_atomically
from allaprima.networks.metadata import Metadata, read_metadata
from allaprima.networks.multistyle import MultiStyle


def network_name(style: str, fast: bool) -> str:
    """The name of the bundled network of a painting, Johnson's or the one made for speed."""
    return f"{style}_realtime" if fast else style


def network_path(name: str | Path) -> Path:
    """The file of a bundled network, by its name, or of another, by its path. Raises UserError if there is none."""
    path = bundled_file(f"models/{name}.safetensors") or Path(str(name))
    if not path.is_file():
        bundled = ", ".join(bundled_names("models"))
        raise UserError(f"there is no network '{name}': take one of {bundled}, or the path of a .safetensors file")
    return path


def load_network(name: str | Path) -> tuple[nn.Module, Metadata]:
    """A bundled network, by name, or any other, by path, and what its file says. Raises UserError if it is none."""
    path = network_path(name)
    try:
        path.open("rb").close()  # safetensors does not tell a lack of permission from a damaged file
        with safe_open(path, "pt") as file:
            metadata = read_metadata((file.metadata() or {})["allaprima"])
            check_shapes(file, metadata)
            state = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
        if not all(weight.isfinite().all() for weight in state.values()):
            raise ValueError("weights that are NaN or infinite")
        network = described_network(metadata)
        network.load_state_dict(state)
    except PermissionError as error:
        raise UserError(f"no permission to read {path}") from error
    except (UserError, OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not a network of this project: give a file that training wrote") from error
    return network, metadata


def load_single(name: str | Path, style: str | None) -> tuple[nn.Module, Metadata]:
    """A network as `load_network` gives it, of one for several paintings the one named `style`.

    Raises UserError if it has no such painting.
    """
    network, metadata = load_network(name)
    if metadata.styles is None:
        return network, metadata
    if style not in metadata.styles:
        raise UserError(f"{name} is of {metadata.style.title}: give style=, one of {', '.join(metadata.styles)}")
    painting = dataclasses.replace(metadata.style, name=style, title=style, artist="")
    return network.single(style), dataclasses.replace(metadata, style=painting, styles=None)


def described_network(metadata: Metadata) -> nn.Module:
    """The network that a file's metadata describe, with random weights. Raises UserError if there is none such."""
    network = networks.build(metadata.network)
    return MultiStyle(network, metadata.styles) if metadata.styles else network


def check_shapes(file: safe_open, metadata: Metadata) -> None:
    """Raises ValueError unless a file holds the weights of the network that it describes.

    A stranger's file can claim any size. So nothing is built in memory before its shapes are known to be those in the
    file, and not even without memory what has more blocks or channels than the file has weights.
    """
    shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    largest = max(len(shapes), *(max(shape, default=0) for shape in shapes.values()))
    if max(metadata.network.blocks, metadata.network.width, metadata.network.hidden or 0) > largest:
        raise ValueError("the network would be larger than the file")
    with torch.device("meta"):
        expected = {key: tuple(weight.shape) for key, weight in described_network(metadata).state_dict().items()}
    if shapes != expected:
        raise ValueError("the weights are of another network")


def write_network(path: Path, network: nn.Module, metadata: Metadata) -> None:
    """Write a network and what is to be said of it. Raises FileError where that is not possible."""
    state = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    write_atomically(path, save(state, {"allaprima": metadata.as_json()}))
