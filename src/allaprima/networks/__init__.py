"""Feed-forward networks: photographs to pastiches."""

from torch import nn

from allaprima.errors import UserError
from allaprima.networks.johnson import Johnson
from allaprima.networks.realtime import Realtime

NETWORKS = {"johnson": Johnson, "realtime": Realtime}


def build(name: str, **arguments: float) -> nn.Module:
    """The network called `name`, untrained.

    A name from this table and never a class path, since it also comes out of files that strangers send.

    Raises:
        UserError: there is no such network, or it has no such arguments.
    """
    if name not in NETWORKS:
        raise UserError(f"there is no network '{name}': take one of {', '.join(NETWORKS)}")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"network '{name}' cannot be built with {arguments}: {error}") from error
