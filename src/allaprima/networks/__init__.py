"""Feed-forward networks: photographs to pastiches."""

from torch import nn

from allaprima.errors import UserError
from allaprima.networks.johnson import Johnson
from allaprima.networks.realtime import Realtime
from allaprima.networks.settings import NetworkSettings

NETWORKS = {"johnson": Johnson, "realtime": Realtime}


def build(settings: NetworkSettings) -> nn.Module:
    """A network, untrained. Raises UserError if there is none such, or it cannot be as large as that.

    By a name in this table and never a class path, since it also comes out of files that strangers send.
    """
    if settings.name not in NETWORKS:
        raise UserError(f"there is no network '{settings.name}': take one of {', '.join(NETWORKS)}")
    try:
        return NETWORKS[settings.name](settings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{settings} cannot be built: {error}") from error
