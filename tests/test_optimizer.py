import functools
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from allaprima.commands.objective import fast_on_cpu, load_objective
from allaprima.commands.optimize import optimize_file
from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.losses.perceptual import PerceptualLoss, Terms
from allaprima.losses.style import bundled_style
from allaprima.losses.vgg import VGG
from allaprima.media.images import at_short_side, read_picture
from allaprima.optimization.image import METHODS, Iteration, optimize

from .conftest import STYLE_LAYERS, TOP, settings

(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])
SMALL = ("scales=[48]", "iterations=12")


configuration = functools.partial(settings, "optimize")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.open(COFFEE).resize((90, 60)).save(path)
    return path


@pytest.fixture
def paint(tmp_path, photo):
    def call(*overrides):
        return optimize_file(configuration(*SMALL, f"content={photo}", f"output={tmp_path / 'out'}", *overrides))

    return call


def descent(loss, photo, start, method, iterations):
    totals = []
    optimize(loss, photo, start, iterations, method, lambda iteration: totals.append(iteration.terms.total))
    return totals


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("start", ["photo", "noise"])
def test_the_objective_falls_from_each_window_of_ten_to_the_next(vgg, caffe, held_out, method, start):
    photo = held_out[1:2, :, ::4, ::4].contiguous()
    grams = bundled_style("kandinsky").targets(caffe.identity, STYLE_LAYERS, 256)
    loss = PerceptualLoss(vgg, grams, ["relu3_1"], "relative", 0.2, 1.0, 0.1)
    totals = descent(loss, photo, photo if start == "photo" else torch.rand_like(photo), method, 40)
    assert len(totals) == 41
    windows = [sum(totals[first : first + 10]) for first in range(0, 40, 10)]
    assert all(later < earlier for earlier, later in itertools.pairwise(windows))
    assert totals[-1] < 0.5 * totals[0]


def test_an_iteration_tells_the_truth_about_its_picture(vgg, caffe, held_out):
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


def test_the_same_seed_gives_the_same_picture(paint, tmp_path):
    first, second, other = (
        read_picture(paint("init=noise", f"seed={seed}", f"output={tmp_path / name}.png")).image
        for name, seed in (("first", 3), ("second", 3), ("other", 4))
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_the_picture_has_the_photographs_size_and_alpha_and_shows_how_it_came_to_be(paint, tmp_path, photo):
    transparent = Image.open(photo).convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize((90, 60)))
    transparent.save(photo)
    written = paint("scales=[32,48]", "show_every=4", "style=great_wave")
    assert written == tmp_path / "out" / "photo_great_wave.png"
    picture = read_picture(written)
    assert picture.image.shape == (3, 60, 90)
    assert torch.equal(picture.alpha, read_picture(photo).alpha)
    with Image.open(written.with_name("photo_great_wave_progress.webp")) as animation:
        assert animation.size == (72, 48) and animation.n_frames >= 6


def test_however_long_it_takes_the_animation_has_so_many_frames(paint, monkeypatch):
    monkeypatch.setattr("allaprima.commands.optimize.MOST_FRAMES", 4)
    written = paint("scales=[32]", "show_every=1")
    with Image.open(written.with_name("photo_kandinsky_progress.webp")) as animation:
        assert 3 <= animation.n_frames <= 5


def test_the_finer_scale_begins_with_what_the_coarser_reached(paint, monkeypatch):
    begun = []

    def painted_red(loss, photo, start, *_):
        begun.append(start)
        red = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1).expand_as(photo)
        return Iteration(1, 1, 0.0, None, red)

    monkeypatch.setattr("allaprima.optimization.multiscale.optimize", painted_red)
    paint("scales=[32,48]")
    coarse, fine = begun
    assert coarse.shape[-2:] == (32, 48) and fine.shape[-2:] == (48, 72)
    red, green, blue = fine.mean((0, 2, 3))
    assert red > 2 * green and red > 2 * blue


def test_pixels_at_their_bounds_can_come_back(vgg):
    class Distance:
        def content_features(self, photo):
            return photo

        def __call__(self, picture, target):
            total = (picture - target).square().sum() + 3 * (picture[:, :, ::2] - picture[:, :, 1::2]).square().sum()
            return Terms(total, total, total, total)

    target = torch.rand(1, 3, 16, 16)
    start = torch.rand(1, 3, 16, 16).round()
    last = optimize(Distance(), target, start, 60, "lbfgs", lambda _: None)
    mean = (target[:, :, ::2] + target[:, :, 1::2]) / 2
    best = mean.repeat_interleave(2, 2) + (target - mean.repeat_interleave(2, 2)) / 7
    assert (last.picture - best).abs().max() < 1e-3


def test_reconstruction_and_texture(paint, photo):
    original = read_picture(photo).image
    longer = ("init=noise", "iterations=60")
    reconstruction = paint(*longer, "style_weight=0", "tv_weight=0", "loss.content_layers=[relu1_2]")
    near = (read_picture(reconstruction).image - original).abs().mean()
    texture = paint(*longer, "content_weight=0", f"output={reconstruction.with_name('texture.png')}")
    far = (read_picture(texture).image - original).abs().mean()
    assert near < 0.1 < 0.15 < far


@pytest.mark.parametrize("loss", ["johnson", "gatys"])
def test_the_papers_objectives_stylize_and_each_of_their_terms_counts(photo, loss):
    config = configuration(f"loss={loss}", "style=great_wave")
    _, objective = load_objective(config.loss, config.style)
    pixels = at_short_side(read_picture(COFFEE).image[None], 96)
    last = optimize(objective, pixels, pixels, 30, "lbfgs", lambda _: None)
    with torch.no_grad():
        before, after = (objective(each, objective.content_features(pixels)) for each in (pixels, last.picture))
    assert after.style < 0.3 * before.style
    weighted = [objective.content_weight * after.content, objective.style_weight * after.style]
    if loss == "johnson":
        weighted.append(objective.tv_weight * after.tv)
    assert all(0.005 < term / after.total < 0.95 for term in weighted)


def test_the_papers_objectives_reconstruct_and_go_from_coarse_to_fine(paint):
    assert paint("loss=gatys", "style_weight=0", "iterations=2").exists()
    assert paint("loss=johnson", "scales=[32,64]", "iterations=2").exists()


def test_it_begins_with_any_picture(paint, tmp_path):
    Image.new("RGB", (30, 50), (230, 20, 20)).save(tmp_path / "red.png")
    red, green, _ = read_picture(paint(f"init={tmp_path / 'red.png'}", "iterations=1")).image.mean((1, 2))
    assert red > 2 * green


def test_an_objective_that_turns_into_no_number_leaves_the_picture_so_far(paint, tmp_path, photo, monkeypatch):
    calls, forward = itertools.count(), PerceptualLoss.forward

    def breaks(self, *arguments):
        terms = forward(self, *arguments)
        return terms._replace(total=terms.total * torch.nan) if next(calls) > 8 else terms

    monkeypatch.setattr(PerceptualLoss, "forward", breaks)
    with pytest.raises(UserError, match="NaN or infinite"):
        paint()
    reached = read_picture(tmp_path / "out" / "photo_kandinsky.png").image
    assert reached.isfinite().all() and not torch.equal(reached, read_picture(photo).image)


def test_interrupted_it_keeps_what_it_has(tmp_path, photo):
    script = [sys.executable, TOP / "scripts" / "optimize.py", f"content={photo}", f"output={tmp_path / 'out'}"]
    process = subprocess.Popen(
        [*script, "scales=[48]", "iterations=100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    result = tmp_path / "out" / "photo_kandinsky.png"
    deadline = time.monotonic() + 120
    while not result.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in errors and "interrupted" in output + errors
    assert str(result) in output
    assert read_picture(result).image.shape == (3, 60, 90)
    assert not torch.equal(read_picture(result).image, read_picture(photo).image)


def test_mistakes_are_refused(paint, tmp_path, photo):
    for overrides, words in (
        (["method=sgd"], "lbfgs, adam"),
        (["scales=64"], "scales"),
        (["scales=[8]"], "32 or more"),
        (["scales=[64,32]"], "rising"),
        (
            [f"style.image={photo}", f"output={photo.with_suffix('.jpg')}", f"init={photo.with_suffix('.jpg')}"],
            "inputs",
        ),
        (["style.size=300"], "was read at"),
        (["iterations=0"], "iterations"),
        (["init=missing.png"], "does not exist"),
        (["content=missing.png"], "does not exist"),
        ([f"output={photo}"], "would be overwritten"),
        (["loss.style_weight=0", "content_weight=0", "tv_weight=0"], "nothing is left"),
        (["style_weight=1e39"], "give 1e\\+30 or less"),
        (["loss.weights=imagenet"], "style.image=PATH"),
    ):
        with pytest.raises(UserError, match=words):
            paint(*overrides)


def test_mistakes_are_told_in_one_line(refused):
    refused(["optimize.py", "content=missing.png"], "missing.png")


def test_the_fast_number_type_reaches_what_float32_does(caffe, held_out):
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


def test_a_reconstruction_needs_no_painting(paint, tmp_path, caffe):
    torch.save(caffe.state_dict, tmp_path / "other.pth")
    other = f"loss.weights={tmp_path / 'other.pth'}"
    with pytest.raises(UserError, match=r"style\.image=PATH"):
        paint(other)
    assert paint(other, "style_weight=0", "init=noise").exists()
