import itertools

import pytest

from allaprima.training.schedule import OptimizerSettings, learning_rate_factor


def test_learning_rate():
    settings = OptimizerSettings(warmup_steps=10, decay_share=0.4)
    shares = [learning_rate_factor(step, 100, settings) for step in range(101)]
    assert shares[0] == 0.1 and shares[9:61] == [1.0] * 52
    assert shares[80] == pytest.approx(0.5) and shares[100] == 0
    assert all(later < earlier for earlier, later in itertools.pairwise(shares[60:]))
    assert learning_rate_factor(0, 1, OptimizerSettings(warmup_steps=0, decay_share=0)) == 1
