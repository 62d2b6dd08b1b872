import itertools

import pytest
import torch
from PIL import Image

from allaprima.losses.gram import gram_matrix
from allaprima.losses.pieces import MOST_PIECES, note_on_pieces, pieces
from allaprima.losses.style import painting_grams, size_grams
from allaprima.media.images import LONGEST, to_tensor


def test_ordinary_paintings_are_one_piece():
    for size in ((300, 300), (300, 900), (1200, 300)):
        assert pieces(Image.new("L", size)) == [(0, 0, *size)]
        assert note_on_pieces(Image.new("L", size)) == ""


@pytest.mark.parametrize("turn", [lambda box: box, lambda box: (box[1], box[0], box[3], box[2])])
def test_pieces_cover_a_scroll(turn):
    size = turn((0, 0, 1000, 100))[2:]
    boxes = [turn(box) for box in pieces(Image.new("L", size))]
    assert boxes[0][:2] == (0, 0) and boxes[-1][2:] == (1000, 100)
    for box, following in itertools.pairwise(boxes):
        assert box[2] == pytest.approx(following[0]) and box[2] - box[0] <= LONGEST * 100
    assert note_on_pieces(Image.new("L", size)) == ""


@pytest.mark.parametrize("size", [(4000, 100), (5000, 1), (1, 5000)])
def test_very_long_paintings(size):
    """As many pixels whatever the shape, from one end to the other."""
    painting = Image.new("L", size)
    boxes = pieces(painting)
    assert len(boxes) == MOST_PIECES
    assert boxes[0][:2] == (0, 0) and boxes[-1][2:] == pytest.approx(size)
    assert "times as long as high" in note_on_pieces(painting) and "% of it is read" in note_on_pieces(painting)


def test_the_loss_network_sees_few_pixels(vgg, monkeypatch):
    shapes = []
    forward = type(vgg).forward

    def noted(self, images, names):
        shapes.append(tuple(images.shape))
        return forward(self, images, names)

    monkeypatch.setattr(type(vgg), "forward", noted)
    painting = Image.effect_noise((1, 5000), 80).convert("RGB")
    (grams,) = painting_grams(painting, vgg, ["relu1_1"], [64]).values()
    assert grams["relu1_1"].isfinite().all()
    assert shapes == [(1, 3, 64 * LONGEST, 64)] * MOST_PIECES


def test_pieces_have_the_gram_matrix_of_the_whole(vgg):
    """But for what their borders change; a part of it has another."""
    painting = Image.effect_noise((1200, 100), 80).convert("RGB")
    painting.paste((90, 60, 200), (800, 0, 1200, 100))
    names = ["relu2_1", "relu3_1"]
    whole = vgg(to_tensor(painting)[None], names)
    part = vgg(to_tensor(painting.crop((0, 0, 400, 100)))[None], names)
    for name, gram in size_grams(painting, vgg, names, 100).items():
        expected = gram_matrix(whole[name])[0]
        assert (gram - expected).norm() < 0.1 * expected.norm()
        assert (gram_matrix(part[name])[0] - expected).norm() > 0.2 * expected.norm()
        assert torch.equal(gram, gram.T)
