import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torchvision.models import vgg16, vgg19

from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.images import read_picture
from allaprima.losses import PerceptualLoss
from allaprima.objective import fast_on_cpu
from allaprima.optimizer import METHODS, optimize
from allaprima.optimizer_run import optimize_file
from allaprima.style import shipped_style
from allaprima.vgg import VGG

from .conftest import STYLE_LAYERS, TOP

(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])
SMALL = ("scales=[48]", "iterations=12")


def configuration(*overrides):
    with initialize_config_dir(str(TOP / "configs"), version_base="1.3"):
        return compose("optimize", overrides)


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
def test_the_objective_falls_from_each_window_of_ten_to_the_next(vgg, craft, held_out, method, start):
    photo = held_out[1:2, :, ::4, ::4].contiguous()
    grams = shipped_style("kandinsky").targets(craft.identity, STYLE_LAYERS, 256)
    loss = PerceptualLoss(vgg, grams, ["relu3_3"], "relative", 0.2, 1.0, 0.1)
    totals = descent(loss, photo, photo if start == "photo" else torch.rand_like(photo), method, 40)
    assert len(totals) == 41
    windows = [sum(totals[first : first + 10]) for first in range(0, 40, 10)]
    assert all(later < earlier for earlier, later in itertools.pairwise(windows))
    assert totals[-1] < 0.5 * totals[0]


def test_an_iteration_tells_the_truth_about_its_picture(vgg, craft, held_out):
    photo = held_out[:1, :, ::4, ::4].contiguous()
    grams = shipped_style("udnie").targets(craft.identity, STYLE_LAYERS, 256)
    loss = PerceptualLoss(vgg, grams, ["relu3_3"], "relative", 0.2, 1.0, 0.1)
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
    monkeypatch.setattr("allaprima.optimizer_run.MOST_FRAMES", 4)
    written = paint("scales=[32]", "show_every=1")
    with Image.open(written.with_name("photo_kandinsky_progress.webp")) as animation:
        assert 3 <= animation.n_frames <= 5


def test_reconstruction_and_texture(paint, photo):
    original = read_picture(photo).image
    longer = ("init=noise", "iterations=60")
    reconstruction = paint(*longer, "style_weight=0", "tv_weight=0", "loss.content_layers=[relu1_2]")
    near = (read_picture(reconstruction).image - original).abs().mean()
    texture = paint(*longer, "content_weight=0", f"output={reconstruction.with_name('texture.png')}")
    far = (read_picture(texture).image - original).abs().mean()
    assert near < 0.1 < 0.15 < far


@pytest.mark.parametrize(("loss", "build"), [("johnson", vgg16), ("gatys", vgg19)])
def test_the_papers_objectives_with_their_loss_networks(paint, tmp_path, loss, build):
    torch.save(
        build(weights=None, init_weights=False).features.state_dict(prefix="features."), tmp_path / "features.pth"
    )
    mine = (f"loss.weights={tmp_path / 'features.pth'}", f"style.image={COFFEE}", "style.size=48")
    assert paint(f"loss={loss}", *mine).name == "photo_coffee.png"


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
    with pytest.raises(UserError, match="no number any more"):
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
        (["style_weight=1e39"], "no number any more"),
        (["loss.weights=imagenet"], "style.image=PATH"),
    ):
        with pytest.raises(UserError, match=words):
            paint(*overrides)


def test_mistakes_are_told_in_one_line(refused):
    refused(["optimize.py", "content=missing.png"], "missing.png")


def test_the_fast_number_type_reaches_what_float32_does(craft, held_out):
    photo = held_out[1:2, :, ::4, ::4].contiguous()
    grams = shipped_style("kandinsky").targets(craft.identity, STYLE_LAYERS, 256)
    exact, fast = (
        PerceptualLoss(VGG(craft, STYLE_LAYERS), grams, ["relu3_3"], "relative", 0.2, 1.0, 0.1) for _ in range(2)
    )
    fast_on_cpu(fast)
    pictures = [optimize(loss, photo, photo, 50, "lbfgs", lambda _: None).picture for loss in (exact, fast)]
    with torch.no_grad():
        ours = [exact(picture, exact.content_features(photo)).total.item() for picture in pictures]
    assert ours[1] < 1.02 * ours[0]


def test_a_reconstruction_needs_no_painting(paint, tmp_path, craft):
    torch.save(craft.state_dict, tmp_path / "other.pth")
    other = f"loss.weights={tmp_path / 'other.pth'}"
    with pytest.raises(UserError, match=r"style\.image=PATH"):
        paint(other)
    assert paint(other, "style_weight=0", "init=noise").exists()
