import math

import pytest

from allaprima.commands.train import train
from allaprima.networks.files import load_network
from allaprima.training.terms import GAIN, adjusted_weight

from ..conftest import SMALL, train_config


def test_adjusted_weight():
    weight = 0.2
    for _ in range(100):
        weight = adjusted_weight(weight, mean=0.1 / weight, distance=0.8)  # the more it weighs, the less is lost
    assert weight == pytest.approx(0.1 / 0.8, rel=0.01)
    assert adjusted_weight(0.2, 100.0, 0.8) == pytest.approx(0.2 * math.exp(GAIN))
    assert adjusted_weight(0.2, 0.0, 0.8) == pytest.approx(0.2 * math.exp(-GAIN))


@pytest.mark.parametrize(("distance", "weight"), [(0.01, 0.2 * math.exp(3 * GAIN)), (1000, 0.2 * math.exp(-3 * GAIN))])
def test_trained_weight(tmp_path, distance, weight):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=3", "data.workers=0", f"loss.content_distance={distance}")
    metadata = load_network(train(train_config(*small)))[1]
    assert metadata.content_weights["kandinsky"] == pytest.approx([weight], rel=0.01)


def test_each_code_has_its_distance(tmp_path):
    small = (*SMALL, f"runs={tmp_path}", "trainer.max_steps=6", "data.workers=0", "loss.content_distance=[1000,0.01]")
    network, metadata = load_network(train(train_config(*small, "optimizer.code_rate=20")))
    weights = [0.2 * math.exp(-3 * GAIN), 0.2 * math.exp(3 * GAIN)]
    assert metadata.content_weights["kandinsky"] == pytest.approx(weights, rel=0.01)
    assert metadata.content_weight("kandinsky", 0.5) == pytest.approx(0.2, rel=0.01)
    assert network.levels == 2 and (network.codes[0, 0] - network.codes[0, 1]).abs().mean() > 1e-3
