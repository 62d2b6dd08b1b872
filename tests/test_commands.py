import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from allaprima.cli import main
from allaprima.data.photos import find_photos, packaged_photos
from allaprima.errors import UserError
from allaprima.media.bundled import bundled_names
from allaprima.media.images import read_picture
from allaprima.networks.files import load_network
from allaprima.training.runs import find_checkpoint

from .conftest import SMALL, TOP, make_clip

README = (TOP / "README.md").read_text()
(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])


def readme_commands(script):
    """The commands of README.md and docs/inference.md; those of docs/training.md name photographs that are not here."""
    lines = (README + (TOP / "docs/inference.md").read_text()).splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.startswith(f"python scripts/{script}")]


@pytest.fixture
def workplace(tmp_path):
    """A folder with all that the README's commands name."""
    photo = Image.open(COFFEE).resize((120, 80))
    for name in ("photo.jpg", "mine.jpg", "holiday/beach/1.jpg", "trips/north/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / name)
    make_clip(tmp_path / "clip.mp4")
    for name in ("mine", "kandinsky"):
        network = tmp_path / f"runs/{name}/DATE_TIME/models/{name}.safetensors"
        network.parent.mkdir(parents=True)
        shutil.copy(TOP / "models/kandinsky.safetensors", network)
    return tmp_path


@pytest.fixture
def typed(command, workplace):
    """Run a line of the README as a user types it."""

    def call(line, *more):
        _, script, *arguments = shlex.split(line)
        return command(script.removeprefix("scripts/"), *arguments, *more)

    return call


# Cameras are painted in test_video, as none can be counted on here.
@pytest.mark.parametrize("line", [line for line in readme_commands("infer.py") if "camera:" not in line])
def test_the_readmes_ways_to_paint(line, typed, workplace):
    before = set(workplace.rglob("*"))
    result = typed(line)
    assert result.returncode == 0, result.stderr
    assert [path for path in set(workplace.rglob("*")) - before if path.is_file()]


def test_the_readmes_ways_to_train(typed, workplace):
    commands = readme_commands("train.py")
    assert any("resume=last" in line for line in commands)
    for line in dict.fromkeys(commands):
        newest = max(workplace.glob("runs/kandinsky/*"), key=lambda folder: folder.stat().st_mtime)
        bundled = any(f"init={name} " in line for name in bundled_names("models"))  # whose width is not to be changed
        small = [setting for setting in SMALL if not (bundled and setting.startswith("network."))]
        result = typed(line.replace("DATE_TIME", newest.name), *small, "trainer.max_steps=4")
        if "resume=last" in line:
            assert result.returncode == 2 and "has its 4 steps already" in result.stderr
        else:
            assert result.returncode == 0, result.stderr
    assert len(list(workplace.glob("runs/mine/*/models/mine.safetensors"))) > 1


@pytest.mark.parametrize("line", readme_commands("optimize.py"))
def test_the_readmes_ways_to_optimize(line, typed, workplace):
    result = typed(line, "iterations=2", "scales=[32,48]")
    assert result.returncode == 0, result.stderr
    assert list(workplace.rglob("*_progress.webp"))


@pytest.mark.parametrize("line", readme_commands("compare.py"))
def test_the_readmes_ways_to_compare(line, typed, workplace):
    result = typed(line, "iterations=2", "sizes=[32]", "starts=[photo]", "photos=holiday")
    assert result.returncode == 0, result.stderr
    assert list(workplace.rglob("*.html")) and list(workplace.rglob("comparison/*.png"))


def test_the_readmes_python(workplace):
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=workplace, check=True, timeout=300)
    assert Image.open(workplace / "painted.jpg").size == (120, 80)


@contextmanager
def as_anyone():
    """Be a user who may not read everything, as the superuser may."""
    superuser = not os.geteuid()
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)


def test_what_may_not_be_read_is_told_as_such():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, checkpoint, locked = (folder / part for part in ("a.safetensors", "last.ckpt", "open/locked"))
        locked.parent.mkdir()
        shutil.copy(COFFEE, locked.parent)
        shutil.copy(TOP / "models/kandinsky.safetensors", network)
        shutil.copy(COFFEE, checkpoint)
        locked.mkdir()
        folder.chmod(0o755)
        for path in (network, checkpoint, locked):
            path.chmod(0)
        for read in (
            lambda: load_network(network),
            lambda: find_photos(locked),
            lambda: find_photos(locked.parent),
            lambda: read_picture(checkpoint),
            lambda: find_checkpoint(str(checkpoint), folder, {}, {}),
        ):
            with as_anyone(), pytest.raises(UserError, match="no permission"):
                read()
        locked.chmod(0o755)


def test_mistakes_of_the_other_commands(refused):
    refused(["benchmark.py"], "benchmark")
    refused(["benchmark.py", "lunch"], "lunch", "train")
    refused(["benchmark.py", "infer", "contenders=[abacus]"], "abacus", "openvino")
    refused(["download.py", "server=nowhere"], "web address")
    refused(["infer.py", "input=my photo (1).jpg"], "quotes")
    refused(["infer.py", "--input", "photo.jpg"], "--input", "input=photo.jpg")
    refused(["train.py", "+optimizer.momentum=1"], "+optimizer.momentum", "configs/")
    refused(["infer.py", "input=[]"], "nothing is left")


def test_help_names_every_command_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["allaprima", "--help"])
    main()
    lines = capsys.readouterr().out.splitlines()
    for script in (TOP / "scripts").glob("*.py"):
        assert any(line.split()[0] == script.stem for line in lines if line.startswith("  "))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian style=udnie", ["no command 'trian'", "train"]),
        ("infer strenght=0.5", ["no setting 'strenght'", "did you mean strength?"]),
        ("train data.batchsize=2", ["did you mean data.batch_size?"]),
        ("train qwertzuiop=2", ["no setting 'qwertzuiop'", "--help"]),
        ("train style=mona_lisa", ["mona_lisa", "kandinsky"]),
        ("train logger=null", ["logger=null", "wandb"]),
        ("train data=nan", ["data=nan", "starter"]),
        ("infer style=Inf", ["style=Inf", "udnie"]),
        ("benchmark train loss=5", ["loss=5", "johnson"]),
        ("infer style=", ["style=", "udnie"]),
        ("infer network=null", ["no setting 'network'"]),
        ("train network.grain=0.2", ["network.grain is network.input_noise now"]),
        ("infer output=null", ["output=null", "a path"]),
        ("infer strength=inf", ["strength=inf", "finite"]),
        ("infer size=1e20", ["size=1e+20", "whole number"]),
        ("infer engine=abacus", ["engine=abacus", "openvino"]),
        ("infer device=abacus", ["device=abacus", "cuda"]),
        ("train optimizer.learning_rate=1e308", ["optimizer.learning_rate=1e+308", "or less"]),
        ("train data.size=10000000", ["data.size=10000000", "8192 or less", "memory"]),
        ("train data.batch_size=1000000", ["data.batch_size=1000000", "megapixels"]),
        ("train data.workers=5000", ["data.workers=5000", "256 or less", "process"]),
        ("train style.size=100000", ["style.size=100000", "8192 or less"]),
        ("train network.width=10000000", ["network.width=10000000", "1024 or less"]),
    ],
)
def test_a_misspelt_word_is_answered_with_the_nearest(line, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["allaprima", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert all(word in told for word in words) and "+batchsize" not in told and "search path" not in told


def test_a_name_with_dollar_and_brace_is_a_name(command, tmp_path):
    shutil.copy(COFFEE, tmp_path / "a${oc.env:HOME}.png")
    result = command("infer.py", 'input="a${oc.env:HOME}.png"', "size=32", "output='b${c}.png'")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "b${c}.png").exists()


def test_the_wheel_has_all_that_the_command_needs(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, TOP], check=True)
    (wheel,) = tmp_path.glob("allaprima-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    shutil.copy(COFFEE, tmp_path / "coffee.png")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for line in ("infer input=coffee.png size=64 output=painted.png", "export style=udnie --cfg job"):
        command = [sys.executable, tmp_path / "site/bin/allaprima", *line.split()]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert read_picture(tmp_path / "painted.png").image.shape == read_picture(COFFEE).image.shape
    where = "import allaprima, sys; print(allaprima.__file__, 'torch' in sys.modules, allaprima.Stylizer.__name__)"
    told = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert told.stdout.split() == [str(tmp_path / "site/allaprima/__init__.py"), "False", "Stylizer"]
