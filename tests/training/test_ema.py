import pytest
import torch

from allaprima.training.ema import EMA


def test_average_of_weights():
    averaged = EMA(torch.nn.Linear(1, 1, bias=False), 0.9)
    current = torch.nn.Linear(1, 1, bias=False)
    values = []
    for step in range(300):
        torch.nn.init.constant_(current.weight, 100 if step == 0 else float(step % 2))
        averaged.update_parameters(current)
        values.append(averaged.module.weight.item())
    assert values[0] == 100 and values[30] < 1  # with 0.9 from the start, 100 * 0.9 ** 30 = 4 of it would be left
    assert values[-1] == pytest.approx(0.5, abs=0.05)
