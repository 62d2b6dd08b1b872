import re
import shlex
import subprocess
import sys

import pytest
from PIL import Image

from allaprima.media.bundled import bundled_names
from allaprima.networks.files import load_network, write_network
from allaprima.training.initialization import take_codes

from .conftest import COFFEE, SMALL, TOP, make_clip

README = (TOP / "README.md").read_text()


def readme_commands(command):
    """The commands of README.md and other pages; those of docs/training.md name photographs that are not here."""
    pages = ("README.md", "docs/painting.md", "docs/video.md", "docs/comparison.md", "docs/export.md")
    lines = [line for page in pages for line in (TOP / page).read_text().splitlines()]
    found = [line.partition("  #")[0].strip() for line in lines if line.startswith(f"allaprima {command} ")]
    return list(dict.fromkeys(found))


@pytest.fixture
def workspace(tmp_path):
    """A folder with all that the README's commands name."""
    photo = Image.open(COFFEE).resize((120, 80))
    for file in ("photo.jpg", "mine.jpg", "map.png", "holiday/beach/1.jpg", "trips/north/2.jpg"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / file)
    make_clip(tmp_path / "clip.mp4")
    network, metadata = load_network("kandinsky")
    take_codes(network, metadata.names, 2)
    for name in ("mine", "kandinsky"):
        write_network(tmp_path / f"runs/{name}/DATE_TIME/models/{name}.safetensors", network, metadata)
    return tmp_path


@pytest.fixture
def run_line(run_script, workspace):
    """Run a line of the README as a user types it."""

    def call(line, *more):
        _, command, *arguments = shlex.split(line)
        return run_script(f"{command}.py", *arguments, *more)

    return call


# Cameras are painted in inference/test_live.py, as none can be counted on here.
@pytest.mark.parametrize("line", [line for line in readme_commands("infer") if "camera:" not in line])
def test_paint_commands(line, run_line, workspace):
    before = set(workspace.rglob("*"))
    result = run_line(line)
    assert result.returncode == 0, result.stderr
    assert [path for path in set(workspace.rglob("*")) - before if path.is_file()]


def test_train_commands(run_line, workspace):
    commands = readme_commands("train")
    assert any("resume=last" in line for line in commands)
    for line in commands:
        newest = max(workspace.glob("runs/kandinsky/*"), key=lambda folder: folder.stat().st_mtime)
        bundled = any(f"init={name} " in line for name in bundled_names("models"))  # whose width is not to be changed
        small = [setting for setting in SMALL if not (bundled and setting.startswith("network."))]
        result = run_line(line.replace("DATE_TIME", newest.name), *small, "trainer.max_steps=4")
        if "resume=last" in line:
            assert result.returncode == 2 and "has its 4 steps already" in result.stderr
        else:
            assert result.returncode == 0, result.stderr
    assert len(list(workspace.glob("runs/mine/*/models/mine.safetensors"))) > 1


@pytest.mark.parametrize("line", readme_commands("optimize"))
def test_optimize_commands(line, run_line, workspace):
    result = run_line(line, "iterations=2", "scales=[32,48]")
    assert result.returncode == 0, result.stderr
    assert list(workspace.rglob("*_progress.webp"))


@pytest.mark.parametrize("line", readme_commands("compare"))
def test_compare_commands(line, run_line, workspace):
    result = run_line(line, "iterations=2", "sizes=[32]", "starts=[photo]", "photos=holiday")
    assert result.returncode == 0, result.stderr
    assert list(workspace.rglob("*.html")) and list(workspace.rglob("comparison/*.png"))


# Pages for the browser are exported in inference/test_webpage.py, as they need a download.
@pytest.mark.parametrize("line", [line for line in readme_commands("export") if "format=web" not in line])
def test_export_commands(line, run_line, workspace):
    pytest.importorskip("nncf" if "int8=true" in line else "onnx")
    result = run_line(line)
    assert result.returncode == 0, result.stderr
    assert list(workspace.glob("exported/*"))


def test_python_example(workspace):
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=workspace, check=True, timeout=300)
    assert Image.open(workspace / "painted.jpg").size == (120, 80)
