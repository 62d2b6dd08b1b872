import functools

import pytest
import torch
import torch.nn.functional as F

from allaprima.benchmarks.networks import mean_style
from allaprima.losses import relative_content
from allaprima.shipped import shipped_names
from allaprima.style import shipped_style
from allaprima.stylizer import Stylizer

from .conftest import STYLE_LAYERS

# What each reaches of the photograph's own distance to its painting, rounded up.
REACHED = [("kandinsky", 0.5), ("starry_night", 0.5), ("great_wave", 0.6), ("udnie", 0.55)]


loaded = functools.cache(Stylizer.load)


@pytest.mark.parametrize(("name", "share"), REACHED)
def test_a_network_comes_far_nearer_to_its_painting_than_the_photograph_is(name, share, vgg, craft, held_out):
    assert name in shipped_names("models")
    stylizer = loaded(name)
    targets = shipped_style(name).targets(craft.identity, STYLE_LAYERS, stylizer.metadata["style_size"])
    with torch.no_grad():
        pastiches = stylizer(held_out)
        before, after = (mean_style(vgg(images, STYLE_LAYERS), targets) for images in (held_out, pastiches))
        assert (after < share * before).all()
        content = relative_content(vgg(pastiches, ["relu3_3"])["relu3_3"], vgg(held_out, ["relu3_3"])["relu3_3"])
    assert content.mean() < 1.0


def steps_behind(metadata):
    """Steps of a network and of those that it began with."""
    return metadata["steps"] + (steps_behind(metadata["init"]) if metadata["init"] else 0)


@pytest.mark.parametrize("name", [name for name, _ in REACHED])
def test_a_network_says_where_it_comes_from(name, craft):
    metadata = loaded(name).metadata
    style = shipped_style(name)
    assert metadata["style"]["sha256"] == style.sha256 and metadata["style"]["title"] == style.title
    assert metadata["loss_network"] == craft.identity
    assert steps_behind(metadata) >= 2000 and metadata["images_seen"] >= metadata["steps"]
    assert set(metadata["validation"]) == {"total", "content", "style", "tv"}
    assert all(number > 1 for number in metadata["worth"]["iterations"]["256"].values())


@pytest.mark.parametrize("name", [name for name, _ in REACHED])
def test_a_network_leaves_no_frame(name, held_out):
    pastiches = loaded(name)(held_out)
    for images in (pastiches, pastiches.mT):
        steps = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((0, 1, 3))
        inside = steps[16:-16].mean()
        assert steps[:4].mean() < 1.5 * inside and steps[-4:].mean() < 1.5 * inside
    beyond = 64
    within = loaded(name)(F.pad(held_out, (beyond,) * 4, mode="reflect"))[..., beyond:-beyond, beyond:-beyond]
    difference = F.avg_pool2d(pastiches - within, 16).abs().mean((0, 1))
    inside = difference[2:-2, 2:-2].mean()
    assert all(border.mean() < 2 * inside for border in (difference[0], difference[-1], *difference.T[[0, -1]]))
