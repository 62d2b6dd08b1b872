import pytest
import torch

from allaprima.evaluation.comparison import compare_on_photo, delta_pictures, gram_matrices, median_equivalent
from allaprima.losses.gram import gram_matrix
from allaprima.losses.perceptual import PerceptualLoss, total_variation

from ..conftest import CAT
from .conftest import make_comparison


def test_equivalent_iterations():
    comparisons = [
        make_comparison(0.5, [3.0, 1.0, 0.5, 0.4]),
        make_comparison(0.1, [3.0, 1.0, 0.5, 0.4]),
        make_comparison(4.0, [3.0, 1.0, 0.5, 0.4]),
    ]
    assert [
        comparison.networks["a"].equivalent_iterations(comparison.optimizer["noise"]) for comparison in comparisons
    ] == [2, 3, 0]
    assert median_equivalent(comparisons, "a", "noise") == (2, 0, 3)
    ended_early = make_comparison(0.1, [3.0, 1.0], allowed=500)
    assert ended_early.networks["a"].equivalent_iterations(ended_early.optimizer["noise"]) == 500


@pytest.fixture
def objective(vgg):
    painting = torch.rand(1, 3, 64, 64)
    grams = {layer: gram_matrix(features)[0] for layer, features in vgg(painting, ["relu1_1", "relu3_1"]).items()}
    return PerceptualLoss(vgg, grams, ["relu3_1"], "relative", 0.5, 1.0, 0.3)


def test_compare_on_photo(objective):
    red = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, 48, 48)
    noise = torch.rand(1, 3, 48, 48)
    starts = {"noise": noise, "photo": None}
    found = compare_on_photo(CAT, 48, {"red": lambda photo: red}, objective, starts, 2, [0, 2], lambda _: None)
    content = objective.content_features(found.photo)
    for judged, picture in (
        (found.networks["red"].terms, red),
        (found.own, found.photo),
        (found.optimizer["noise"].terms[0], noise),
        (found.optimizer["photo"].terms[0], found.photo),
        (found.optimizer["noise"].terms[2], found.optimizer["noise"].pictures[2]),
    ):
        with torch.no_grad():
            assert tuple(judged) == pytest.approx(objective(picture, content).numbers(), rel=1e-3, abs=1e-6)
    assert torch.equal(found.networks["red"].picture, red)
    grams = gram_matrices(found, objective)
    for layer in ("relu1_1", "relu3_1"):
        for name, picture in (("photograph", found.photo), ("red", red)):
            expected = gram_matrix(objective.vgg(picture, [layer])[layer])[0]
            assert torch.allclose(grams[layer][name], expected, rtol=1e-3, atol=1e-2)
        assert torch.equal(grams[layer]["painting"], objective.get_buffer(f"gram_{layer}"))


def test_delta_pictures(objective):
    red = torch.rand(1, 3, 48, 48)
    found = compare_on_photo(CAT, 48, {"red": lambda photo: red}, objective, {"photo": None}, 2, [2], lambda _: None)
    objective.tv_weight = 20.0
    pictures = delta_pictures(found, "red", objective, 12, lambda _: None)
    with_it, without = (pictures[name] for name in ("optimizer", "optimizer without total variation"))
    assert total_variation(with_it) < 0.9 * total_variation(without)
    assert torch.equal(pictures["pastiche (red)"], red) and torch.equal(pictures["photograph"], found.photo)
