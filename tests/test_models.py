import functools

import pytest
import torch
import torch.nn.functional as F

from allaprima.inference.stylizer import Stylizer
from allaprima.losses.style import bundled_style
from allaprima.media.bundled import bundled_names
from benchmarks.networks import DistanceMetric

NAMES = [name for name in bundled_names("models") if not name.endswith("_realtime")]
REALTIME = [name for name in bundled_names("models") if name.endswith("_realtime")]

loaded = functools.cache(Stylizer.load)


@pytest.fixture(scope="session")
def metric():
    return DistanceMetric(19)


@pytest.fixture(scope="session")
def painted(held_out):
    """By a network's name, the held-out photographs as it paints them."""
    return functools.cache(lambda name: loaded(name)(held_out, brush=1))


def test_every_bundled_painting_has_a_network():
    assert bundled_names("models/styles") == NAMES
    assert [f"{name}_realtime" for name in NAMES] == REALTIME


@pytest.mark.parametrize("name", NAMES)
def test_style_distance_is_reduced(name, metric, held_out, painted):
    style = bundled_style(name)
    for photo, pastiche in zip(held_out[:2].split(1), painted(name)[:2].split(1), strict=True):
        before, after = (metric(picture, photo, style, 384) for picture in (photo, pastiche))
        assert after.style < 0.5 * before.style


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_content_is_kept(name, metric, held_out, painted):
    layer = metric.content
    pictures = (F.avg_pool2d(images, 2) for images in (held_out, painted(name)))
    photos, pastiches = (metric.vgg(images, [layer])[layer] for images in pictures)
    distances = torch.stack([(photos - pastiche).square().mean((1, 2, 3)) for pastiche in pastiches])
    assert distances.argmin(0).tolist() == list(range(len(held_out)))


def steps_behind(metadata):
    """Steps of a network and of those that it began with."""
    return metadata["steps"] + (steps_behind(metadata["init"]) if metadata["init"] else 0)


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name, caffe):
    metadata = loaded(name).metadata
    assert metadata.paintings == [bundled_style(name).painting]
    assert metadata.loss_network == caffe.identity
    assert steps_behind(metadata.as_dict()) >= 2000 and metadata.images_seen >= metadata.steps
    assert set(metadata.validation) == {"total", "content", "style", "tv"}
    assert 0 < metadata.content_weights[name][0] < 1


@pytest.mark.parametrize("name", NAMES)
def test_no_fixed_pattern(name, held_out, painted):
    # One that knows its place by what it is given paints the same at the same place of every photograph.
    pastiches, turned = (
        F.avg_pool2d(images, 16) for images in (painted(name), loaded(name)(held_out.flip(3), brush=1))
    )
    assert (pastiches - turned.flip(3)).square().mean().sqrt() < 0.7 * pastiches.std((2, 3)).square().mean().sqrt()


@pytest.mark.parametrize("name", NAMES + REALTIME)
def test_no_shift(name, held_out, painted):
    def edges(images):
        grey = images.mean(1)
        return (grey[:, 1:, :-1] - grey[:, :-1, :-1]).abs() + (grey[:, :-1, 1:] - grey[:, :-1, :-1]).abs()

    before, after = edges(held_out), edges(painted(name))
    shifts = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
    assert max(shifts, key=lambda shift: (before.roll(shift, (1, 2)) * after).sum()) == (0, 0)


def grid_energy(images):
    """Energy of the detail that neighbouring cells of 4x4 pixels have in common: a weave has it, texture has not."""
    smooth = F.avg_pool2d(F.avg_pool2d(images, 4, stride=1), 4, stride=1)
    detail = (images[..., 3:-3, 3:-3] - smooth)[..., 1:-1, 1:-1]
    return F.avg_pool2d(F.pixel_unshuffle(detail, 4), 6, stride=3).square().mean((1, 2, 3))


def test_grid_energy():
    weave = 0.1 * torch.randn(1, 3, 4, 4).repeat(1, 1, 24, 24)
    noise = 0.1 * torch.randn(1, 3, 96, 96)
    assert grid_energy(noise) < 0.05 * grid_energy(weave)


@pytest.mark.parametrize("name", NAMES + REALTIME)
def test_no_grid(name, held_out, painted):
    assert grid_energy(painted(name)).mean() < 2 * grid_energy(held_out).mean()


@pytest.mark.parametrize("name", NAMES + REALTIME)
def test_no_frame(name, held_out, painted):
    pastiches = painted(name)
    for images in (pastiches, pastiches.mT):
        steps = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((0, 1, 3))
        inside = steps[16:-16].mean()
        assert steps[:4].mean() < 1.5 * inside and steps[-4:].mean() < 1.5 * inside
    beyond = 64
    within = loaded(name)(F.pad(held_out, (beyond,) * 4, mode="reflect"), brush=1)[..., beyond:-beyond, beyond:-beyond]
    difference = F.avg_pool2d(pastiches - within, 16).abs().mean((0, 1))
    middle = difference[2:-2, 2:-2].mean()
    assert all(border.mean() < 2 * middle for border in (difference[0], difference[-1], *difference.T[[0, -1]]))


@pytest.mark.parametrize("name", REALTIME)
def test_realtime_networks_are_small(name):
    painting = loaded(name).painting.name
    sizes = [sum(weight.numel() for weight in loaded(each).network.parameters()) for each in (name, painting)]
    assert sizes[0] < 0.15 * sizes[1]
