import functools
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.commands.infer import paint_files
from allaprima.data.photos import packaged_photos
from allaprima.errors import UserError
from allaprima.inference import engines
from allaprima.inference import stylizer as stylizers
from allaprima.inference.stylizer import Stylizer
from allaprima.media.bundled import bundled_names
from allaprima.media.images import read_picture, resized, to_image, to_tensor

from .conftest import TOP, make_clip, settings

(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])


@pytest.fixture(scope="module")
def stylizer():
    return Stylizer.load("kandinsky")


configuration = functools.partial(settings, "infer")


def paint(*overrides):
    return paint_files(configuration(*overrides))


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.open(COFFEE).resize((90, 60)).save(path)
    return path


def test_strength_blends(stylizer):
    photo = torch.rand(3, 33, 45)
    painted = stylizer(photo)
    assert painted.shape == photo.shape and painted.min() >= 0 and painted.max() <= 1
    assert torch.equal(stylizer(photo, strength=0), photo)
    assert torch.allclose(stylizer(photo, strength=0.25), 0.75 * photo + 0.25 * painted, atol=1e-5)


def test_preserve_color_takes_luminance_alone(stylizer):
    photo = 0.4 + 0.2 * torch.rand(3, 32, 32)
    kept = stylizer(photo, preserve_color=True)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    luma = (stylizer(photo) * weights).sum(0)
    inside = ((kept > 0.001) & (kept < 0.999)).all(0)
    assert inside.float().mean() > 0.3
    assert torch.allclose((kept * weights).sum(0)[inside], luma[inside], atol=0.002)
    difference, original = kept - (kept * weights).sum(0), photo - (photo * weights).sum(0)
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


def test_paths_and_arrays_are_painted_too(stylizer, photo):
    image = Image.open(photo).convert("RGB")
    painted = stylizer(image)
    assert all(stylizer(path).tobytes() == painted.tobytes() for path in (photo, str(photo)))
    array = stylizer(np.asarray(image))
    assert array.dtype == np.uint8 and np.array_equal(array, np.asarray(painted))
    floating = stylizer(np.asarray(image, np.float64) / 255)
    assert floating.dtype == np.float64 and np.abs(floating * 255 - array).max() < 0.51
    transparent = np.concatenate([np.asarray(image), np.full((60, 90, 1), 7, np.uint8)], 2)
    assert (stylizer(transparent)[..., 3] == 7).all()


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
def test_what_is_no_picture_is_refused_in_words(stylizer, image, error, words):
    with pytest.raises(error, match=words):
        stylizer(image)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"strength": 2}, ValueError), ({"strength": float("nan")}, ValueError), ({"size": 0}, ValueError)]
    + [({"brush": brush}, ValueError) for brush in (0, 17, float("nan"))]
    + [({"size": size}, TypeError) for size in ("5", 5.0, True)],
)
def test_options_that_cannot_be_are_refused_in_words(stylizer, options, error):
    with pytest.raises(error, match=next(iter(options))):
        stylizer(torch.rand(3, 8, 8), **options)


@pytest.mark.parametrize("kind", [lambda tensor: tensor, to_image])
def test_a_wider_brush_paints_wider_strokes_as_sharply(stylizer, kind):
    """Wider: less changes from pixel to pixel than with the brush at 1; but more than if it was only enlarged."""
    photo = 0.5 + 0.1 * resized(torch.rand(1, 3, 24, 24), (144, 144))[0]

    def change(brush):
        painted = stylizer(kind(photo), brush=brush)
        painted = painted if isinstance(painted, torch.Tensor) else to_tensor(painted)
        assert painted.shape == photo.shape
        return (painted[:, 1:] - painted[:, :-1]).abs().mean().item()

    small = resized(photo[None], (36, 36))[0]
    enlarged = resized(stylizer(small)[None], (144, 144))[0]
    assert (enlarged[:, 1:] - enlarged[:, :-1]).abs().mean().item() < change(4) < change(1)


def test_what_comes_back_is_an_ordinary_tensor(stylizer):
    pastiche = stylizer(torch.rand(3, 8, 8))
    assert not pastiche.is_inference()
    pastiche.requires_grad_().sum().backward()


def test_a_network_for_several_paintings_paints_the_one_that_is_named(tmp_path, photo):
    udnie, wave = (Stylizer.load("base/johnson", style, engine="torch")(photo) for style in ("udnie", "great_wave"))
    assert udnie.tobytes() != wave.tobytes()
    (written,) = paint("model=base/johnson", "style=udnie", f"input={photo}", f"output={tmp_path / 'out'}")
    assert written.name == "photo_udnie.png" and Image.open(written).tobytes() == udnie.tobytes()
    with pytest.raises(UserError, match="give style=, one of great_wave"):
        Stylizer.load("base/johnson")


def test_every_painting_and_a_sheet_of_them(tmp_path, photo):
    written = paint("style=all", f"input={photo}", f"output={tmp_path / 'out'}", "size=32", "engine=torch")
    names = bundled_names("models/styles")
    assert [path.name for path in written] == [*(f"photo_{name}.png" for name in names), "photo_all.jpg"]
    assert len({path.read_bytes() for path in written}) == len(written)
    assert min(Image.open(written[-1]).size) > 600
    with pytest.raises(UserError, match="style=all gives many"):
        paint("style=all", f"input={photo}", f"output={tmp_path / 'out.png'}")


def test_sheets_replace_no_input_and_one_another_neither(tmp_path, photo):
    album = tmp_path / "album"
    album.mkdir()
    for name in ("cat.png", "cat_all.jpg"):
        Image.open(photo).save(album / name)
    kept = (album / "cat_all.jpg").read_bytes()
    with pytest.raises(UserError, match=r"cat_all\.jpg is one of the inputs"):
        paint("style=all", f"input={album}", f"output={album}")
    assert (album / "cat_all.jpg").read_bytes() == kept and len(list(album.iterdir())) == 2
    (album / "cat_all.jpg").rename(album / "cat.jpg")
    with pytest.raises(UserError, match=r"both become .*cat_all\.jpg"):
        paint("style=all", f"input={album}", f"output={tmp_path / 'out'}", "suffix=null")


def test_what_computed_the_pictures_is_told(tmp_path, photo, monkeypatch, capsys):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [] if name == "torch" else ["something"])
    paint(f"input={photo}", f"output={tmp_path}", "style=all", "size=32")
    # Each network painted one picture, for which no other engine's start would have paid.
    assert "computed by torch\n" in capsys.readouterr().out
    clip = make_clip(tmp_path / "clip.mp4", times=range(1))
    paint(f"input={clip}", f"output={tmp_path}", "fast=true", "size=32")
    assert "computed by torch; faster would be" in capsys.readouterr().out


def test_what_is_painted_in_tiles_is_told_to_be_by_torch(tmp_path, photo, monkeypatch, capsys):
    pytest.importorskip("openvino")
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 32 * 32)
    paint(f"input={photo}", f"output={tmp_path}", "fast=true", "engine=openvino", "size=32")
    assert "computed by torch\n" in capsys.readouterr().out


def test_a_program_can_read_what_was_done(photo, command):
    (photo.parent / "broken.png").write_text("not a picture")
    ended = command("infer.py", f"input=[{photo},broken.png]", "json=true", "size=32", "engine=torch", "suffix=.jpg")
    (told,) = json.loads(ended.stdout)
    assert ended.returncode == 2 and told["seconds"] > 0 and told["pixels"] == 90 * 60
    assert (told["output"], told["style"], told["engine"]) == ("painted/photo_kandinsky.jpg", "kandinsky", "torch")


def test_standard_input_and_output_are_pictures(photo, tmp_path):
    script = [sys.executable, TOP / "scripts/infer.py", "input=-", "output=-", "suffix=.webp", "size=32"]
    result = subprocess.run(script, cwd=tmp_path, input=photo.read_bytes(), capture_output=True)
    assert result.returncode == 0, result.stderr
    painted = Image.open(io.BytesIO(result.stdout))
    assert (painted.format, painted.size) == ("WEBP", (90, 60))
    result = subprocess.run(script, cwd=tmp_path, input=b"no picture", capture_output=True)
    assert result.returncode == 2 and result.stdout == b"" and result.stderr.count(b"\n") == 1
    assert b"standard input is not a picture" in result.stderr


def test_the_photos_own_size_orientation_and_alpha(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(COFFEE).resize((80, 50)).convert("RGBA")
    turned.putalpha(Image.linear_gradient("L").resize((80, 50)))
    turned.save(tmp_path / "turned.png", exif=exif)
    (written,) = paint(f"input={tmp_path / 'turned.png'}", f"output={tmp_path / 'out.png'}", "size=40")
    picture = read_picture(written)
    assert picture.image.shape == (3, 80, 50)
    assert torch.equal(picture.alpha, read_picture(tmp_path / "turned.png").alpha)
    (flat,) = paint(f"input={tmp_path / 'turned.png'}", f"output={tmp_path / 'out.jpg'}")
    assert read_picture(flat).alpha is None


def test_files_folders_and_patterns(tmp_path, photo):
    deep = tmp_path / "album" / "deep"
    deep.mkdir(parents=True)
    Image.open(photo).save(tmp_path / "album" / "one.jpg")
    Image.open(photo).convert("L").save(deep / "two.tiff")
    out = tmp_path / "out"

    def names(*overrides):
        return sorted(str(path.relative_to(out)) for path in paint(*overrides, f"output={out}"))

    assert names(f"input={photo}") == ["photo_kandinsky.png"]
    everything = names(f"input={tmp_path}")
    assert everything == ["album/deep/two_kandinsky.png", "album/one_kandinsky.jpg", "photo_kandinsky.png"]
    assert names(f"input={tmp_path}") == everything
    assert names(f"input={tmp_path / 'album'}") == ["deep/two_kandinsky.png", "one_kandinsky.jpg"]
    assert names(f"input='{tmp_path}/album/**/*.t*'", "suffix=.webp") == ["deep/two_kandinsky.webp"]
    assert names(f"input='{tmp_path}/**/*.jpg'") == ["album/one_kandinsky.jpg"]
    assert names(f"input=[{photo},{deep}]") == ["photo_kandinsky.png", "two_kandinsky.png"]


def test_what_cannot_be_painted_is_passed_over_among_others(tmp_path, photo, capsys):
    (tmp_path / "broken.png").write_text("not a picture")
    with pytest.raises(UserError, match="1 of 2 files"):
        paint(f"input=[{photo},{tmp_path / 'broken.png'}]", f"output={tmp_path / 'out'}")
    assert (tmp_path / "out" / "photo_kandinsky.png").is_file()
    assert "passed over" in capsys.readouterr().err


def test_mistakes_are_refused(tmp_path, photo):
    (tmp_path / "text.png").write_text("not a picture")
    other = tmp_path / "other"
    other.mkdir()
    Image.open(photo).save(other / "photo.png")
    before = photo.read_bytes()
    for overrides, words in (
        ([f"output={photo}"], "would be overwritten"),
        ([f"output={tmp_path / 'out.txt'}"], "written as"),
        ([f"input=[{photo},{other}]", f"output={tmp_path / 'out.png'}"], "name a folder"),
        ([f"input=[{photo},{other}]", f"output={tmp_path}"], "would both become"),
        ([f"input={tmp_path / 'text.png'}"], "not a picture"),
        ([f"input={tmp_path / 'missing.png'}"], "no such file"),
        (["input="], "is empty"),
        ([f"style.image={photo}"], "train.py"),
        (["strength=1.5"], "give 1 or less"),
        (["size=0"], "1 or more"),
        (["brush=0"], "brush=0: give 0.25 or more"),
        (["suffix=.gif"], "take one of"),
        (["preserve_color=no"], "true or false"),
        (["model=mona_lisa"], r"take one of .*great_wave, great_wave_realtime, kandinsky"),
        ([f"model={photo}"], "not a network"),
        ([f"model={TOP / 'models' / 'styles' / 'udnie.safetensors'}"], "not a network"),
    ):
        with pytest.raises(UserError, match=words):
            paint(f"input={photo}", f"output={tmp_path / 'painted'}", *overrides)
    assert photo.read_bytes() == before
    assert not (tmp_path / "painted").exists()


def in_a_process_of_its_own(folder, *arguments):
    command = [sys.executable, TOP / "scripts/infer.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_with_no_arguments_it_paints_a_photograph_and_says_where(tmp_path):
    result = in_a_process_of_its_own(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "painted/chelsea_kandinsky.png" in result.stdout
    assert read_picture(tmp_path / "painted" / "chelsea_kandinsky.png").image.shape == (3, 300, 451)


def test_mistakes_end_the_command_in_one_line(refused, photo, tmp_path):
    result = in_a_process_of_its_own(tmp_path, "input=missing.jpg")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: input=missing.jpg") and result.stderr.count("\n") == 1
    refused(["infer.py", "photo.jpg"], "input=photo.jpg")
    refused(["infer.py", "strenght=0.5"], "strenght")
    refused(["infer.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
    refused(["infer.py", f"input={photo}", f"output={photo}"], "overwritten")
    refused(["infer.py", f"input={photo}", "strength=much"], "strength")


def test_names_that_are_no_text_or_as_long_as_can_be(tmp_path, photo):
    folder = tmp_path / "odd"
    folder.mkdir()
    longest = "a" * (255 - len("_kandinsky.png"))
    for name in (b"\xff\xfe.png", f"{longest}.png".encode()):
        shutil.copy(photo, os.fsencode(folder) + b"/" + name)
    script = [sys.executable, TOP / "scripts" / "infer.py", f"input={folder}", "output=painted", "size=32"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # pytest's own streams take anything
    result = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr
    painted = sorted(os.fsencode(path.name) for path in (tmp_path / "painted").iterdir())
    assert painted == [f"{longest}_kandinsky.png".encode(), b"\xff\xfe_kandinsky.png"]


def test_a_reader_that_goes_away_does_not_stop_the_painting(tmp_path, photo):
    for number in range(4):
        shutil.copy(photo, tmp_path / f"{number}.png")
    command = f"{sys.executable} {TOP / 'scripts/infer.py'} input='?.png' size=32 engine=torch | head -1"
    result = subprocess.run(command, cwd=tmp_path, shell=True, capture_output=True, text=True)
    assert "0.png as Composition VII" in result.stdout and "rror" not in result.stderr
    assert len(list((tmp_path / "painted").iterdir())) == 4


def test_a_photograph_of_many_pixels_takes_few_bytes_for_each(tmp_path):
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


def test_a_place_that_cannot_be_written_is_noticed_before_painting(tmp_path, photo, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Stylizer, "__call__", lambda *_, **__: pytest.fail("painted"))
    shutil.copy(photo, tmp_path / "other.png")
    with pytest.raises(UserError, match=r"cannot write in .*file"):
        paint(f"input=[{photo},{tmp_path / 'other.png'}]", f"output={tmp_path / 'file'}")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_picture_too_large_for_the_memory_is_passed_over(tmp_path, photo, monkeypatch, capsys, error):
    other = tmp_path / "large.png"
    shutil.copy(photo, other)
    paint_one = Stylizer.__call__

    def limited(self, image, **options):
        if limited.calls == 0:
            limited.calls += 1
            raise error
        return paint_one(self, image, **options)

    limited.calls = 0
    monkeypatch.setattr(Stylizer, "__call__", limited)
    with pytest.raises(UserError, match="1 of 2 files could not be painted"):
        paint(f"input=[{other},{photo}]", f"output={tmp_path / 'out'}")
    assert "too large for the memory: give a smaller size=" in capsys.readouterr().err
    assert (tmp_path / "out" / "photo_kandinsky.png").exists()
