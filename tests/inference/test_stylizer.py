import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.inference.stylizer import Stylizer
from allaprima.media.images import flattened, resized, to_image, to_tensor


@pytest.fixture(scope="module")
def stylizer():
    """One that paints small pictures at their size, and so fast."""
    loaded = Stylizer.load("kandinsky")
    loaded.paint = functools.partial(loaded.paint, brush=1)
    return loaded


def test_strength(stylizer):
    photo = torch.rand(3, 33, 45)
    painted = stylizer(photo)
    assert painted.shape == photo.shape and painted.min() >= 0 and painted.max() <= 1
    assert torch.equal(stylizer(photo, strength=0), photo)
    assert torch.allclose(stylizer(photo, strength=0.25), 0.75 * photo + 0.25 * painted, atol=1e-5)


def test_preserve_color(stylizer):
    photo = 0.4 + 0.2 * torch.rand(3, 32, 32)
    kept = stylizer(photo, preserve_color=True)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luma = (stylizer(photo) * weights).sum(0)
    inside = ((kept > 0.001) & (kept < 0.999)).all(0)
    assert inside.float().mean() > 0.3
    assert torch.allclose((kept * weights).sum(0)[inside], luma[inside], atol=0.002)
    difference = kept - (kept * weights).sum(0)
    original = photo - (photo * weights).sum(0)
    assert torch.allclose(difference[:, inside], original[:, inside], atol=0.002)


def test_batches_sizes_and_pillow_images(stylizer):
    photos = torch.rand(2, 3, 40, 64)
    assert torch.allclose(stylizer(photos)[1], stylizer(photos[1]), atol=0.02)
    small = stylizer(photos, size=20)
    assert small.shape == photos.shape and not torch.allclose(small, stylizer(photos), atol=0.02)
    assert torch.equal(stylizer(photos, size=400), stylizer(photos))
    image = Image.fromarray(np.zeros((30, 50, 4), np.uint8))
    assert stylizer(image).size == (50, 30)
    assert stylizer(image).getchannel("A").getextrema() == (0, 0)
    assert stylizer(Image.effect_noise((50, 30), 80)).mode == "RGB"
    image.getexif()[0x0112] = 6
    assert stylizer(image).size == (30, 50)


def test_paths_and_arrays(stylizer, photo_path):
    image = Image.open(photo_path).convert("RGB")
    painted = stylizer(image)
    assert all(stylizer(path).tobytes() == painted.tobytes() for path in (photo_path, str(photo_path)))
    array = stylizer(np.asarray(image))
    assert array.dtype == np.uint8 and np.array_equal(array, np.asarray(painted))
    floating = stylizer(np.asarray(image, np.float64) / 255)
    assert floating.dtype == np.float64 and np.abs(floating * 255 - array).max() < 0.51
    transparent = np.concatenate([np.asarray(image), np.full((60, 90, 1), 7, np.uint8)], 2)
    assert (stylizer(transparent)[..., 3] == 7).all()


def seen(image):
    return np.asarray(flattened(image), float)


@pytest.mark.parametrize("options", [{}, {"strength": 0.6, "preserve_color": True}, {"size": 30}, {"brush": 2}])
def test_what_nobody_sees_changes_nothing(stylizer, photo_path, tmp_path, options):
    image = Image.open(photo_path).convert("RGBA")
    alpha = Image.radial_gradient("L").resize(image.size).point(lambda value: 255 - min(255, 2 * value))
    image.putalpha(alpha)
    other = Image.new("RGBA", image.size, (10, 200, 30))
    other.paste(image, mask=alpha.point(lambda value: 255 * (value > 0)))
    other.putalpha(alpha)
    painted, again = stylizer(image, **options), stylizer(other, **options)
    assert image.tobytes() != other.tobytes() and painted.tobytes() == again.tobytes()
    assert painted.getchannel("A").tobytes() == alpha.tobytes()
    # Seen on white it is what is painted of the picture on white, as dark as its transparency allows.
    on_white = np.asarray(stylizer(flattened(image), **options), float)
    opacity = np.asarray(alpha, float)[..., None]
    assert np.abs(seen(painted) - np.maximum(on_white, 255 - opacity)).max() <= 2
    image.save(tmp_path / "it.png")
    assert stylizer(tmp_path / "it.png", **options).tobytes() == painted.tobytes()
    floating = 255 * stylizer(np.asarray(image, np.float32) / 255, **options)
    assert (np.abs(floating - np.asarray(painted)) * opacity / 255).max() < 4


def test_strength_of_transparent_pictures(stylizer, photo_path):
    image = Image.open(photo_path).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    assert np.abs(seen(stylizer(image, strength=0)) - seen(image)).max() <= 1


def test_transparency_of_arrays(stylizer):
    with pytest.raises(ValueError, match="values from 128"):
        stylizer(np.concatenate([np.zeros((8, 8, 3)), np.full((8, 8, 1), 128.0)], 2))


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (3, 4)])
def test_any_shape(stylizer, size):
    assert stylizer(Image.effect_noise(size, 80).convert("RGB")).size == size


def test_narrow_pictures_are_painted_in_tiles(monkeypatch):
    torch_stylizer = Stylizer.load("kandinsky", engine="torch")
    whole = []
    monkeypatch.setattr(torch_stylizer, "_paint", lambda photos, _: whole.append(photos.shape) or photos)
    torch_stylizer(torch.rand(3, 4, 12_000))
    assert not whole
    torch_stylizer(torch.rand(3, 4, 5000))
    assert whole


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (None, TypeError, "give a tensor, an array, a Pillow image, or a picture's path"),
        ([[0.5]], TypeError, "list"),
        (torch.zeros(0, 3, 8, 8), ValueError, "give"),
        (torch.full((3, 8, 8), 128.0), ValueError, "values from 128 to 128"),
        (torch.full((3, 8, 8), torch.nan), ValueError, "values from nan"),
        (np.zeros((8, 8), np.uint8), ValueError, "give"),
        (np.zeros((8, 8, 3), np.int64), TypeError, "floating"),
    ],
)
def test_invalid_images_are_refused(stylizer, image, error, words):
    with pytest.raises(error, match=words):
        stylizer(image)


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8), (1, 8, 8, 3), (4, 8, 8)])
def test_invalid_tensors_are_refused(shape):
    torch_stylizer = Stylizer.load("kandinsky", engine="torch")
    with pytest.raises(ValueError, match="give"):
        torch_stylizer(torch.rand(shape))
    with pytest.raises(TypeError, match="uint8"):
        torch_stylizer(torch.zeros(3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_tensor_type_is_kept(dtype):
    torch_stylizer = Stylizer.load("kandinsky", engine="torch")
    photo = torch.rand(3, 32, 32, dtype=dtype)
    pastiche = torch_stylizer(photo, strength=0.5)
    assert pastiche.dtype == dtype
    assert torch.allclose(pastiche.float(), torch_stylizer(photo.float(), strength=0.5), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"strength": 2}, ValueError), ({"strength": float("nan")}, ValueError), ({"size": 0}, ValueError)]
    + [({"brush": brush}, ValueError) for brush in (0, 17, float("nan"))]
    + [({"size": size}, TypeError) for size in ("5", 5.0, True)],
)
def test_invalid_options_are_refused(stylizer, options, error):
    with pytest.raises(error, match=next(iter(options))):
        stylizer(torch.rand(3, 8, 8), **options)


def test_brush_that_fits(stylizer):
    small = resized(torch.rand(1, 3, 12, 18), (300, 450))[0]
    assert torch.equal(stylizer(small, brush="auto"), stylizer(small, brush=0.5))
    assert not torch.allclose(stylizer(small, brush="auto"), stylizer(small), atol=0.05)


@pytest.mark.parametrize("kind", [lambda tensor: tensor, to_image])
def test_brush(stylizer, kind):
    """Wider: less changes from pixel to pixel than with the brush at 1; but more than if it was only enlarged."""
    photo = 0.5 + 0.1 * resized(torch.rand(1, 3, 24, 24), (144, 144))[0]

    def change(brush):
        result = stylizer(kind(photo), brush=brush)
        painted = result if isinstance(result, torch.Tensor) else to_tensor(result)
        assert painted.shape == photo.shape
        return (painted[:, 1:] - painted[:, :-1]).abs().mean().item()

    small = resized(photo[None], (36, 36))[0]
    enlarged = resized(stylizer(small)[None], (144, 144))[0]
    assert (enlarged[:, 1:] - enlarged[:, :-1]).abs().mean().item() < change(4) < change(1)


def test_result_is_an_ordinary_tensor(stylizer):
    pastiche = stylizer(torch.rand(3, 8, 8))
    assert not pastiche.is_inference()
    pastiche.requires_grad_().sum().backward()


def test_memory_per_pixel():
    program = """
import re
from pathlib import Path
from PIL import Image
from allaprima import Stylizer

def peak():  # of this program alone, where getrusage has what began it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

stylizer = Stylizer.load("kandinsky", engine="torch")
image = Image.effect_noise((1000, 1000), 80).convert("RGB")
stylizer(image, size=64)
before = peak()
large = image.resize((6000, 6000))
stylizer(large, strength=0.5, preserve_color=True, size=64)
print((peak() - before) / 36e6)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert 3 < float(result.stdout) < 35  # bytes a pixel, where floating-point numbers took 85
