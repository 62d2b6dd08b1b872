import pytest
import torch

from allaprima.losses.stability import SENSOR_NOISE, instability


def test_instability():
    photos = torch.rand(2, 3, 32, 32)
    assert instability(lambda x: x, photos, photos).item() == pytest.approx(SENSOR_NOISE**2, rel=0.1)
    pattern = torch.rand(1, 3, 32, 32)  # that stays where it is, whatever the photograph does
    unstable = instability(lambda x: x + pattern, photos, photos + pattern).item()
    assert unstable > 0.1
