import io
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image

from allaprima.commands import infer
from allaprima.commands.infer import InferSettings, two_digits
from allaprima.errors import UserError
from allaprima.inference import engines
from allaprima.inference import stylizer as stylizers
from allaprima.inference.stylizer import Stylizer
from allaprima.media.bundled import bundled_names
from allaprima.media.images import read_picture

from ..conftest import COFFEE, TOP, compose_config, make_clip, paint


def run_process(folder, *arguments):
    command = [sys.executable, TOP / "scripts/infer.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_multistyle_network(tmp_path, photo_path):
    udnie, wave = (
        Stylizer.load("base/johnson", style, engine="torch")(photo_path) for style in ("udnie", "great_wave")
    )
    assert udnie.tobytes() != wave.tobytes()
    (written,) = paint("model=base/johnson", "style=udnie", f"input={photo_path}", f"output={tmp_path / 'out'}")
    assert written.name == "photo_udnie.png" and Image.open(written).tobytes() == udnie.tobytes()
    with pytest.raises(UserError, match="give style=, one of great_wave"):
        Stylizer.load("base/johnson")


def test_all_styles(tmp_path, photo_path):
    files = paint("style=all", f"input={photo_path}", f"output={tmp_path / 'out'}", "size=32", "engine=torch")
    names = bundled_names("models/styles")
    assert [path.name for path in files] == [*(f"photo_{name}.png" for name in names), "photo_all.jpg"]
    assert len({path.read_bytes() for path in files}) == len(files)
    assert min(Image.open(files[-1]).size) > 600
    with pytest.raises(UserError, match="style=all gives many"):
        paint("style=all", f"input={photo_path}", f"output={tmp_path / 'out.png'}")


def test_sheets_overwrite_nothing(tmp_path, photo_path):
    album = tmp_path / "album"
    album.mkdir()
    for name in ("cat.png", "cat_all.jpg"):
        Image.open(photo_path).save(album / name)
    kept = (album / "cat_all.jpg").read_bytes()
    with pytest.raises(UserError, match=r"cat_all\.jpg is one of the inputs"):
        paint("style=all", f"input={album}", f"output={album}")
    assert (album / "cat_all.jpg").read_bytes() == kept and len(list(album.iterdir())) == 2
    (album / "cat_all.jpg").rename(album / "cat.jpg")
    with pytest.raises(UserError, match=r"both become .*cat_all\.jpg"):
        paint("style=all", f"input={album}", f"output={tmp_path / 'out'}", "suffix=null")


def test_engine_is_printed(tmp_path, photo_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [] if name == "torch" else ["something"])
    paint(f"input={photo_path}", f"output={tmp_path}", "style=all", "size=32")
    # Each network painted one picture, for which no other engine's start would have paid.
    assert "computed by torch\n" in capsys.readouterr().out
    clip = make_clip(tmp_path / "clip.mp4", times=range(1))
    paint(f"input={clip}", f"output={tmp_path}", "fast=true", "size=32")
    assert "computed by torch; faster would be" in capsys.readouterr().out


def test_engine_of_tiles_is_printed(tmp_path, photo_path, monkeypatch, capsys):
    pytest.importorskip("openvino")
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 32 * 32)
    paint(f"input={photo_path}", f"output={tmp_path}", "fast=true", "engine=openvino", "size=32")
    assert "computed by torch\n" in capsys.readouterr().out


def test_json_output(photo_path, run_script):
    (photo_path.parent / "broken.png").write_text("not a picture")
    result = run_script(
        "infer.py", f"input=[{photo_path},broken.png]", "json=true", "size=32", "engine=torch", "suffix=.jpg"
    )
    (told,) = json.loads(result.stdout)
    assert result.returncode == 2 and told["seconds"] > 0 and told["pixels"] == 90 * 60
    assert (told["output"], told["style"], told["engine"]) == ("painted/photo_kandinsky.jpg", "kandinsky", "torch")


def test_standard_input_and_output(photo_path, tmp_path):
    script = [sys.executable, TOP / "scripts/infer.py", "input=-", "output=-", "suffix=.webp", "size=32"]
    result = subprocess.run(script, cwd=tmp_path, input=photo_path.read_bytes(), capture_output=True)
    assert result.returncode == 0, result.stderr
    painted = Image.open(io.BytesIO(result.stdout))
    assert (painted.format, painted.size) == ("WEBP", (90, 60))
    result = subprocess.run(script, cwd=tmp_path, input=b"no picture", capture_output=True)
    assert result.returncode == 2 and result.stdout == b"" and result.stderr.count(b"\n") == 1
    assert b"standard input is not a picture" in result.stderr


def test_size_orientation_and_alpha(tmp_path):
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


def test_files_folders_and_patterns(tmp_path, photo_path):
    deep = tmp_path / "album" / "deep"
    deep.mkdir(parents=True)
    Image.open(photo_path).save(tmp_path / "album" / "one.jpg")
    Image.open(photo_path).convert("L").save(deep / "two.tiff")
    out = tmp_path / "out"

    def painted_names(*overrides):
        return sorted(str(path.relative_to(out)) for path in paint(*overrides, f"output={out}"))

    assert painted_names(f"input={photo_path}") == ["photo_kandinsky.png"]
    everything = painted_names(f"input={tmp_path}")
    assert everything == ["album/deep/two_kandinsky.png", "album/one_kandinsky.jpg", "photo_kandinsky.png"]
    assert painted_names(f"input={tmp_path}") == everything
    assert painted_names(f"input={tmp_path / 'album'}") == ["deep/two_kandinsky.png", "one_kandinsky.jpg"]
    assert painted_names(f"input='{tmp_path}/album/**/*.t*'", "suffix=.webp") == ["deep/two_kandinsky.webp"]
    assert painted_names(f"input='{tmp_path}/**/*.jpg'") == ["album/one_kandinsky.jpg"]
    assert painted_names(f"input=[{photo_path},{deep}]") == ["photo_kandinsky.png", "two_kandinsky.png"]


def test_unreadable_files_are_skipped(tmp_path, photo_path, capsys):
    (tmp_path / "broken.png").write_text("not a picture")
    with pytest.raises(UserError, match="1 of 2 files"):
        paint(f"input=[{photo_path},{tmp_path / 'broken.png'}]", f"output={tmp_path / 'out'}")
    assert (tmp_path / "out" / "photo_kandinsky.png").is_file()
    assert "passed over" in capsys.readouterr().err


def test_invalid_settings_are_refused(tmp_path, photo_path):
    (tmp_path / "text.png").write_text("not a picture")
    other = tmp_path / "other"
    other.mkdir()
    Image.open(photo_path).save(other / "photo.png")
    before = photo_path.read_bytes()
    for overrides, words in (
        ([f"output={photo_path}"], "would be overwritten"),
        ([f"output={tmp_path / 'out.txt'}"], "written as"),
        ([f"input=[{photo_path},{other}]", f"output={tmp_path / 'out.png'}"], "name a folder"),
        ([f"input=[{photo_path},{other}]", f"output={tmp_path}"], "would both become"),
        ([f"input={tmp_path / 'text.png'}"], "not a picture"),
        ([f"input={tmp_path / 'missing.png'}"], "no such file"),
        (["input="], "is empty"),
        ([f"style.image={photo_path}"], "allaprima train"),
        (["strength=1.5"], "give 1 or less"),
        (["size=0"], "1 or more"),
        (["brush=0"], "brush=0: give a number from 0.25 to 16, or auto"),
        (["suffix=.gif"], "take one of"),
        (["preserve_color=no"], "true or false"),
        (["model=mona_lisa"], r"take one of .*great_wave, great_wave_realtime, kandinsky"),
        ([f"model={photo_path}"], "not a network"),
        ([f"model={TOP / 'models' / 'styles' / 'udnie.safetensors'}"], "not a network"),
    ):
        with pytest.raises(UserError, match=words):
            paint(f"input={photo_path}", f"output={tmp_path / 'painted'}", *overrides)
    assert photo_path.read_bytes() == before
    assert not (tmp_path / "painted").exists()


def test_no_arguments(tmp_path):
    result = run_process(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "painted/chelsea_kandinsky.png" in result.stdout
    assert read_picture(tmp_path / "painted" / "chelsea_kandinsky.png").image.shape == (3, 300, 451)


def test_errors_in_one_line(refused, photo_path, tmp_path):
    result = run_process(tmp_path, "input=missing.jpg")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("error: input=missing.jpg") and result.stderr.count("\n") == 1
    refused(["infer.py", "photo.jpg"], "input=photo.jpg")
    refused(["infer.py", "strenght=0.5"], "strenght")
    refused(["infer.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
    refused(["infer.py", f"input={photo_path}", f"output={photo_path}"], "overwritten")
    refused(["infer.py", f"input={photo_path}", "strength=much"], "strength")
    for boldness in ("2", "true", ""):
        refused(["infer.py", f"boldness={boldness}"], f"boldness={boldness}: give a number from 0 to 1.5")
    refused(["infer.py", "boldness=0"], "one boldness: leave out boldness=")
    refused(["infer.py", "style={kandinsky: 1, mona_lisa: 1}"], "10 paintings: give style=", "udnie")


def test_unusual_file_names(tmp_path, photo_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    longest = "a" * (255 - len("_kandinsky.png"))
    for name in (b"\xff\xfe.png", f"{longest}.png".encode()):
        shutil.copy(photo_path, os.fsencode(folder) + b"/" + name)
    script = [sys.executable, TOP / "scripts" / "infer.py", f"input={folder}", "output=painted", "size=32"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # pytest's own streams take anything
    result = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True)
    assert result.returncode == 0, result.stderr
    written_names = sorted(os.fsencode(path.name) for path in (tmp_path / "painted").iterdir())
    assert written_names == [f"{longest}_kandinsky.png".encode(), b"\xff\xfe_kandinsky.png"]


def test_closed_pipe(tmp_path, photo_path):
    for number in range(4):
        shutil.copy(photo_path, tmp_path / f"{number}.png")
    command = f"{sys.executable} {TOP / 'scripts/infer.py'} input='?.png' size=32 engine=torch | head -1"
    result = subprocess.run(command, cwd=tmp_path, shell=True, capture_output=True, text=True)
    assert "0.png as Composition VII" in result.stdout and "rror" not in result.stderr
    assert len(list((tmp_path / "painted").iterdir())) == 4


def test_unwritable_output(tmp_path, photo_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Stylizer, "paint", lambda *_, **__: pytest.fail("painted"))
    shutil.copy(photo_path, tmp_path / "other.png")
    with pytest.raises(UserError, match=r"cannot write in .*file"):
        paint(f"input=[{photo_path},{tmp_path / 'other.png'}]", f"output={tmp_path / 'file'}")


def test_unwritable_output_of_one_picture(tmp_path, photo_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Stylizer, "paint", lambda *_, **__: pytest.fail("painted"))
    with pytest.raises(UserError, match=r"cannot write in .*file"):
        paint(f"input={photo_path}", f"output={tmp_path / 'file' / 'a.jpg'}")
    (tmp_path / "out" / "photo_kandinsky.png").mkdir(parents=True)
    with pytest.raises(UserError, match=r"photo_kandinsky\.png: there is a folder of that name"):
        paint(f"input={photo_path}", f"output={tmp_path / 'out'}")
    Image.new("RGB", (17_000, 2)).save(tmp_path / "long.png")
    with pytest.raises(UserError, match="cannot be written as WEBP, which has 16383 pixels a side at most"):
        paint(f"input={tmp_path / 'long.png'}", f"output={tmp_path / 'new'}", "suffix=.webp")
    assert not (tmp_path / "new").exists()


def test_replaced_results_are_said(tmp_path, photo_path, capsys):
    there = [f"input={photo_path}", f"output={tmp_path / 'out'}", "size=32", "engine=torch"]
    paint(*there, "strength=0.7")
    assert "an older one is replaced" not in capsys.readouterr().out
    paint(*there, "brush=2")
    assert "photo_kandinsky.png (an older one is replaced), in" in capsys.readouterr().out
    paint(*there, "json=true")
    assert json.loads(capsys.readouterr().out)[0]["replaced"]


def test_folders_as_people_have_them(tmp_path, photo_path, capsys):
    album = tmp_path / "album"
    (album / "@eaDir").mkdir(parents=True)
    photo = Image.open(photo_path).convert("RGB")
    photo.save(album / "a_rubbish.jpg", exif=b"Exif\0\0" + b"garbage " * 9)
    photo.save(album / "b.avif")
    photo.save(album / "c.jfif", "JPEG")
    photo.save(album / "@eaDir" / "c.jfif.jpg")
    (album / "._c.jfif").write_bytes(b"Mac OS X")
    (album / "notes.txt").touch()
    files = paint(f"input={album}", f"output={tmp_path / 'out'}", "size=32", "engine=torch")
    assert [path.name for path in files] == ["a_rubbish_kandinsky.jpg", "b_kandinsky.png", "c_kandinsky.jpg"]
    assert "1 file of other kinds left alone (.txt)" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_out_of_memory(tmp_path, photo_path, monkeypatch, capsys, error):
    large = tmp_path / "large.png"
    shutil.copy(photo_path, large)
    paint_one = Stylizer.paint

    def limited(self, image, **options):
        if limited.calls == 0:
            limited.calls += 1
            raise error
        return paint_one(self, image, **options)

    limited.calls = 0
    monkeypatch.setattr(Stylizer, "paint", limited)
    with pytest.raises(UserError, match="1 of 2 files could not be painted"):
        paint(f"input=[{large},{photo_path}]", f"output={tmp_path / 'out'}")
    assert "too large for the memory: give a smaller size=" in capsys.readouterr().err
    assert (tmp_path / "out" / "photo_kandinsky.png").exists()


@pytest.mark.parametrize(("number", "words"), [(131.7, "130"), (0.0123, "0.012"), (5, "5"), (1e-7, "0.0000001")])
def test_numbers_have_no_exponents(number, words):
    assert two_digits(number) == words


def test_blends_have_a_name(tmp_path, photo_path):
    (painted,) = paint(
        "style.shares={udnie: 1, great_wave: 3}", "size=32", f"input={photo_path}", f"output={tmp_path}/out"
    )
    assert painted.stem == f"{photo_path.stem}_udnie_great_wave"


def test_frames_have_to_be_fast():
    def both(*overrides):
        settings = InferSettings.read(compose_config("infer", *overrides))
        return [(options["size"], options["brush"]) for options in (settings.options(), settings.frame_options())]

    assert both() == [(None, "auto"), (1024, 1.0)]
    assert both("size=300", "brush=4") == [(300, 4.0), (300, 4.0)]


def test_large_pictures_are_announced(photo_path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(infer, "LARGEST_WHOLE", 5_000)
    paint(f"input={photo_path}", f"output={tmp_path / 'out'}", "fast=true")
    assert "photo.png: 0.0054 megapixels at full size; size=1024" in capsys.readouterr().out
    paint(f"input={photo_path}", f"output={tmp_path / 'out'}", "fast=true", "size=32")
    assert "full size" not in capsys.readouterr().out
