import itertools

import pytest
import torch

from allaprima.losses.perceptual import LossTerms, PerceptualLoss
from allaprima.losses.style import bundled_style
from allaprima.optimization.image import METHODS, optimize

from ..conftest import STYLE_LAYERS


def descent(loss, photo, start, method, iterations):
    totals = []
    optimize(loss, photo, start, iterations, method, lambda iteration: totals.append(iteration.terms.total))
    return totals


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("start", ["photo", "noise"])
def test_objective_falls(vgg, caffe, held_out, method, start):
    photo = held_out[1:2, :, ::4, ::4].contiguous()
    grams = bundled_style("kandinsky").targets(caffe.identity, STYLE_LAYERS, 256)
    loss = PerceptualLoss(vgg, grams, ["relu3_1"], "relative", 0.2, 1.0, 0.1)
    totals = descent(loss, photo, photo if start == "photo" else torch.rand_like(photo), method, 40)
    assert len(totals) == 41
    windows = [sum(totals[first : first + 10]) for first in range(0, 40, 10)]
    assert all(later < earlier for earlier, later in itertools.pairwise(windows))
    assert totals[-1] < 0.5 * totals[0]


def test_iteration_matches_its_picture(vgg, caffe, held_out):
    photo = held_out[:1, :, ::4, ::4].contiguous()
    grams = bundled_style("udnie").targets(caffe.identity, STYLE_LAYERS, 256)
    loss = PerceptualLoss(vgg, grams, ["relu3_1"], "relative", 0.2, 1.0, 0.1)
    seen = []
    for method in METHODS:
        last = optimize(loss, photo, photo, 5, method, seen.append)
        assert last is seen[-1] and last.number == 5 and last.evaluations >= 6
        assert last.picture.min() >= 0 and last.picture.max() <= 1
        with torch.no_grad():
            terms = loss(last.picture, loss.content_features(photo))
        assert [term.item() for term in terms] == pytest.approx(list(last.terms), rel=1e-4)
    assert torch.equal(seen[0].picture, photo)


def test_pixels_leave_their_bounds():
    class Distance:
        def content_features(self, photo):
            return photo

        def __call__(self, picture, target):
            total = (picture - target).square().sum() + 3 * (picture[:, :, ::2] - picture[:, :, 1::2]).square().sum()
            return LossTerms(total, total, total, total)

    target = torch.rand(1, 3, 16, 16)
    start = torch.rand(1, 3, 16, 16).round()
    last = optimize(Distance(), target, start, 60, "lbfgs", lambda _: None)
    mean = (target[:, :, ::2] + target[:, :, 1::2]) / 2
    best = mean.repeat_interleave(2, 2) + (target - mean.repeat_interleave(2, 2)) / 7
    assert (last.picture - best).abs().max() < 1e-3
