import itertools

import torch

from allaprima.training.module import step_seed


def test_step_seeds():
    draws = set()
    for place in itertools.product((0, 1), (0, 1, 2, 500), (0, 1)):
        torch.manual_seed(step_seed(*place))
        draws.add(torch.rand(1).item())
    assert len(draws) == 16
