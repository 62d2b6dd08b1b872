import torch
import torch.nn.functional as F

from allaprima.losses.grid import grid_energy
from allaprima.networks.base import CELL


def test_grid_energy():
    weave = (0.5 + 0.1 * torch.randn(1, 3, CELL, CELL)).repeat(1, 1, 24, 24)
    texture = 0.5 + 0.1 * torch.randn(1, 3, 96, 96)
    gradient = torch.linspace(0, 1, 96).expand(1, 3, 96, 96)
    assert grid_energy(weave) > 20 * grid_energy(texture)
    assert grid_energy(gradient) < 1e-9
    assert grid_energy(torch.cat([weave, texture])).tolist() == [grid_energy(weave), grid_energy(texture)]
    assert grid_energy(F.pad(weave, (0, 3, 0, 2), mode="replicate")) == grid_energy(weave)
