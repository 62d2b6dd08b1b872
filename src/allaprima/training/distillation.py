"""Distillation (Hinton et al. 2015): a small network learns what a larger one of the same painting paints."""

import hashlib

from torch import nn

from allaprima.errors import UserError
from allaprima.losses.style import Style
from allaprima.networks.files import load_network
from allaprima.networks.metadata import Metadata


def load_teacher(name: str, style: Style) -> tuple[nn.Module, Metadata]:
    """A network, by its name in `models/` or its path, to learn from in training, and what its file says.

    Raises:
        UserError: there is no such network, or it paints another painting.
    """
    teacher, metadata = load_network(name)
    if not style.same_as(metadata.style):
        raise UserError(f"teacher={name} paints {metadata.style.title}: give a network of {style.title}")
    return teacher.requires_grad_(False), metadata


def weights_sha256(network: nn.Module) -> str:
    """A network's weights as a hexadecimal digest, which does not change with what its file says of it."""
    digest = hashlib.sha256()
    for weight in network.state_dict().values():
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()
