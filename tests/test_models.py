import functools

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir

from allaprima.benchmarks import benchmark
from allaprima.benchmarks.networks import mean_style
from allaprima.color import color_statistics
from allaprima.comparison_run import network_objective
from allaprima.data.photos import STARTER_VALIDATION, packaged_photos, validation_squares
from allaprima.grid import grid_energy
from allaprima.losses import relative_content
from allaprima.shipped import shipped_names
from allaprima.style import shipped_style
from allaprima.stylizer import Stylizer

from .conftest import STYLE_LAYERS, TOP

# What each reaches of the photograph's own distance to its painting, rounded up.
REACHED = [("kandinsky", 0.5), ("starry_night", 0.5), ("great_wave", 0.6), ("udnie", 0.55)]
REALTIME = ["kandinsky_realtime", "starry_night_realtime", "great_wave_realtime", "udnie_realtime"]
NAMES = [name for name, _ in REACHED] + REALTIME


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


def test_benchmark_of_the_carried_networks(capsys):
    with initialize_config_dir(str(TOP / "configs"), version_base="1.3"):
        benchmark(compose("benchmark", ["benchmark=networks", "benchmark.size=64"]))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == shipped_names("models")


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
    assert all(metadata["worth"]["256"][start] > 1 for start in ("noise", "photo"))


@pytest.mark.parametrize("name", NAMES)
def test_a_network_paints_the_photograph_and_no_pattern_of_its_own(name, held_out):
    # One that knows its place by what it is given paints the same at the same place of every photograph.
    pastiches, turned = (F.avg_pool2d(loaded(name)(images), 16) for images in (held_out, held_out.flip(3)))
    assert (pastiches - turned.flip(3)).square().mean().sqrt() < 0.7 * pastiches.std((2, 3)).square().mean().sqrt()


@pytest.mark.parametrize("name", NAMES)
def test_a_network_paints_things_where_they_are(name, held_out):
    def edges(images):
        grey = images.mean(1)
        return (grey[:, 1:, :-1] - grey[:, :-1, :-1]).abs() + (grey[:, :-1, 1:] - grey[:, :-1, :-1]).abs()

    before, after = edges(held_out), edges(loaded(name)(held_out))
    shifts = [(down, right) for down in range(-4, 5) for right in range(-4, 5)]
    assert max(shifts, key=lambda shift: (before.roll(shift, (1, 2)) * after).sum()) == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_paints_with_its_paintings_contrast(name, held_out):
    variance = color_statistics(loaded(name)(held_out))[:, 1:].diagonal(dim1=1, dim2=2).sum(1)
    painting = shipped_style(loaded(name).metadata["style"]["name"]).colors[1:].trace()
    assert (variance / painting).sqrt().mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_a_network_paints_no_grid(name, held_out):
    assert grid_energy(loaded(name)(held_out)).mean() < 2 * grid_energy(held_out).mean()


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", REALTIME)
def test_a_network_made_for_speed_comes_within_a_tenth_of_the_objective_of_johnsons(name):
    painting = loaded(name).metadata["style"]["name"]
    loss = network_objective(loaded(painting).metadata, None)[1]
    for size in (256, 384):
        photos = validation_squares(packaged_photos(STARTER_VALIDATION), size)
        content = loss.content_features(photos)
        with torch.no_grad():
            fast, slow = (loss(loaded(each)(photos), content).total for each in (name, painting))
        assert fast < 1.1 * slow
    sizes = [sum(weight.numel() for weight in loaded(each).network.parameters()) for each in (name, painting)]
    assert sizes[0] < 0.15 * sizes[1]
