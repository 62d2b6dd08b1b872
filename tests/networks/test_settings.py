import pytest

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.settings import NetworkSettings


def test_unknown_networks_are_refused():
    with pytest.raises(UserError, match="take one of johnson, realtime"):
        networks.build(NetworkSettings(name="resnet"))
    with pytest.raises(TypeError, match="depth"):
        NetworkSettings(depth=3)
    with pytest.raises(UserError, match="cannot be built"):
        networks.build(NetworkSettings(width=-1))
