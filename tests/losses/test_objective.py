import pytest
import torch

from allaprima.losses.objective import LossSettings, StyleSettings, fast_on_cpu, load_objective
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import bundled_style
from allaprima.losses.vgg import VGG
from allaprima.media.images import at_short_side, read_picture
from allaprima.optimization.image import optimize

from ..conftest import COFFEE, STYLE_LAYERS, compose_config


@pytest.mark.parametrize("loss", ["johnson", "gatys"])
def test_objectives_of_the_papers(loss):
    config = compose_config("optimize", f"loss={loss}", "style=great_wave")
    _, objective = load_objective(LossSettings(**config.loss), StyleSettings(**config.style))
    pixels = at_short_side(read_picture(COFFEE).image[None], 96)
    last = optimize(objective, pixels, pixels, 30, "lbfgs", lambda _: None)
    with torch.no_grad():
        before, after = (objective(each, objective.content_features(pixels)) for each in (pixels, last.picture))
    assert after.style < 0.3 * before.style
    weighted = [objective.content_weight * after.content, objective.style_weight * after.style]
    if loss == "johnson":
        weighted.append(objective.tv_weight * after.tv)
    assert all(0.005 < term / after.total < 0.95 for term in weighted)


def test_fast_number_type(caffe, held_out):
    photo = held_out[1:2, :, ::4, ::4].contiguous()
    grams = bundled_style("kandinsky").targets(caffe.identity, STYLE_LAYERS, 256)
    exact, fast = (
        PerceptualLoss(VGG(caffe, STYLE_LAYERS), grams, ["relu3_1"], "relative", 0.2, 1.0, 0.1) for _ in range(2)
    )
    fast_on_cpu(fast)
    pictures = [optimize(loss, photo, photo, 50, "lbfgs", lambda _: None).picture for loss in (exact, fast)]
    with torch.no_grad():
        ours = [exact(picture, exact.content_features(photo)).total.item() for picture in pictures]
    assert ours[1] < 1.02 * ours[0]
