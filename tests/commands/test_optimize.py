import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from allaprima.errors import UserError
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.images import read_picture

from ..conftest import TOP


def test_seed(optimize_photo, tmp_path):
    first, second, other = (
        read_picture(optimize_photo("init=noise", f"seed={seed}", f"output={tmp_path / name}.png")).image
        for name, seed in (("first", 3), ("second", 3), ("other", 4))
    )
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_size_alpha_and_animation(optimize_photo, tmp_path, photo_path):
    transparent = Image.open(photo_path).convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize((90, 60)))
    transparent.save(photo_path)
    written = optimize_photo("scales=[32,48]", "show_every=4", "style=great_wave")
    assert written == tmp_path / "out" / "photo_great_wave.png"
    picture = read_picture(written)
    assert picture.image.shape == (3, 60, 90)
    assert torch.equal(picture.alpha, read_picture(photo_path).alpha)
    with Image.open(written.with_name("photo_great_wave_progress.webp")) as animation:
        assert animation.size == (72, 48) and animation.n_frames >= 6


def test_reconstruction_and_texture(optimize_photo, photo_path):
    original = read_picture(photo_path).image
    longer = ("init=noise", "iterations=60")
    reconstruction = optimize_photo(*longer, "style_weight=0", "tv_weight=0", "loss.content_layers=[relu1_2]")
    near = (read_picture(reconstruction).image - original).abs().mean()
    texture = optimize_photo(*longer, "content_weight=0", f"output={reconstruction.with_name('texture.png')}")
    far = (read_picture(texture).image - original).abs().mean()
    assert near < 0.1 < 0.15 < far


def test_objectives_of_the_papers(optimize_photo):
    assert optimize_photo("loss=gatys", "style_weight=0", "iterations=2").exists()
    assert optimize_photo("loss=johnson", "scales=[32,64]", "iterations=2").exists()


def test_initial_picture(optimize_photo, tmp_path):
    Image.new("RGB", (30, 50), (230, 20, 20)).save(tmp_path / "red.png")
    red, green, _ = read_picture(optimize_photo(f"init={tmp_path / 'red.png'}", "iterations=1")).image.mean((1, 2))
    assert red > 2 * green


def test_nonfinite_objective(optimize_photo, tmp_path, photo_path, monkeypatch):
    calls = itertools.count()
    forward = PerceptualLoss.forward

    def breaks(self, *arguments):
        terms = forward(self, *arguments)
        return terms._replace(total=terms.total * torch.nan) if next(calls) > 8 else terms

    monkeypatch.setattr(PerceptualLoss, "forward", breaks)
    with pytest.raises(UserError, match="NaN or infinite"):
        optimize_photo()
    reached = read_picture(tmp_path / "out" / "photo_kandinsky.png").image
    assert reached.isfinite().all() and not torch.equal(reached, read_picture(photo_path).image)


def test_interrupt_keeps_the_picture(tmp_path, photo_path):
    script = [sys.executable, TOP / "scripts" / "optimize.py", f"content={photo_path}", f"output={tmp_path / 'out'}"]
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
    assert not torch.equal(read_picture(result).image, read_picture(photo_path).image)


def test_invalid_settings_are_refused(optimize_photo, tmp_path, photo_path):
    for overrides, words in (
        (["method=sgd"], "lbfgs, adam"),
        (["scales=64"], "scales"),
        (["scales=[8]"], "32 or more"),
        (["scales=[64,32]"], "rising"),
        (
            [
                f"style.image={photo_path}",
                f"output={photo_path.with_suffix('.jpg')}",
                f"init={photo_path.with_suffix('.jpg')}",
            ],
            "inputs",
        ),
        (["style.size=300"], "was read at"),
        (["iterations=0"], "iterations"),
        (["init=missing.png"], "does not exist"),
        (["content=missing.png"], "does not exist"),
        ([f"output={photo_path}"], "would be overwritten"),
        (["loss.style_weight=0", "content_weight=0", "tv_weight=0"], "nothing is left"),
        (["style_weight=1e39"], "give 1e\\+30 or less"),
        (["loss.weights=imagenet"], "style.image=PATH"),
    ):
        with pytest.raises(UserError, match=words):
            optimize_photo(*overrides)


def test_error_in_one_line(refused):
    refused(["optimize.py", "content=missing.png"], "missing.png")


def test_reconstruction_without_painting(optimize_photo, tmp_path, caffe):
    torch.save(caffe.state_dict, tmp_path / "other.pth")
    weights = f"loss.weights={tmp_path / 'other.pth'}"
    with pytest.raises(UserError, match=r"style\.image=PATH"):
        optimize_photo(weights)
    assert optimize_photo(weights, "style_weight=0", "init=noise").exists()


def test_unwritable_output_is_noticed_first(optimize_photo, tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.commands.optimize.optimize_scales", lambda *_: pytest.fail("optimized"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write in .*file"):
        optimize_photo(f"output={tmp_path / 'file'}")
    (tmp_path / "out" / "photo_kandinsky.png").mkdir(parents=True)
    with pytest.raises(UserError, match="there is a folder of that name"):
        optimize_photo()


def test_panoramas(optimize_photo, tmp_path, monkeypatch, capsys):
    """At as many pixels as a photograph four times as long as high has, and written at its own size."""
    Image.effect_noise((1600, 100), 80).convert("RGB").save(tmp_path / "panorama.jpg")
    shapes = set()
    forward = PerceptualLoss.forward

    def noted(self, picture, content):
        shapes.add(tuple(picture.shape[-2:]))
        return forward(self, picture, content)

    monkeypatch.setattr(PerceptualLoss, "forward", noted)
    written = optimize_photo(f"content={tmp_path / 'panorama.jpg'}", "scales=[64]", "iterations=1")
    assert shapes == {(32, 512)} and Image.open(written).size == (1600, 100)
    told = "panorama.jpg is 16 times as long as high: it is optimized at 512 x 32 pixels"
    assert told in capsys.readouterr().out
    with pytest.raises(UserError, match="16 times as long as high, too narrow"):
        optimize_photo(f"content={tmp_path / 'panorama.jpg'}", "scales=[48]")


def test_transparency(optimize_photo, tmp_path, photo_path):
    """What nobody sees changes nothing."""
    results = []
    for color in ((0, 0, 0), (90, 250, 30)):
        image = Image.open(photo_path).convert("RGBA")
        alpha = Image.linear_gradient("L").resize(image.size).point(lambda value: 255 * (value > 128))
        hidden = Image.new("RGBA", image.size, color)
        hidden.paste(image, mask=alpha)
        hidden.putalpha(alpha)
        hidden.save(tmp_path / "cutout.png")
        results.append(read_picture(optimize_photo(f"content={tmp_path / 'cutout.png'}", "iterations=2")))
    assert torch.equal(results[0].image, results[1].image) and torch.equal(results[0].alpha, results[1].alpha)
    assert results[0].alpha.mean() < 0.6
