"""Feed-forward networks: photographs to pastiches."""

from collections.abc import Sequence

from allaprima.errors import UserError
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.johnson import johnson
from allaprima.networks.realtime import realtime
from allaprima.networks.settings import NetworkSettings

NETWORKS = {"johnson": johnson, "realtime": realtime}


def build(settings: NetworkSettings, paintings: Sequence[str] = ("",), levels: int = 1) -> TransformationNetwork:
    """A network, untrained, see `TransformationNetwork`. Raises UserError if there is none such, or of such a size.

    By a name in this table and never a class path, since it also comes out of files that strangers send.
    """
    if settings.name not in NETWORKS:
        raise UserError(f"there is no network '{settings.name}': take one of {', '.join(NETWORKS)}")
    try:
        return TransformationNetwork(NETWORKS[settings.name](settings), settings, paintings, levels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{settings} cannot be built: {error}") from error
