import re
import shlex
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from allaprima.data.photos import packaged_photos

from .conftest import TOP
from .test_training import SMALL

README = (TOP / "README.md").read_text()
(COFFEE,) = packaged_photos(["skimage/data/coffee.png"])


def readme_commands(script):
    return [
        line.partition("#")[0].strip() for line in README.splitlines() if line.startswith(f"python scripts/{script}")
    ]


@pytest.fixture
def workplace(tmp_path):
    """A folder with all that the README's commands name."""
    photo = Image.open(COFFEE).resize((120, 80))
    for name in ("photo.jpg", "my.jpg", "holiday/beach/1.jpg", "trips/north/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(tmp_path / name)
    mine = tmp_path / "runs/mine/DATE/models/mine.safetensors"
    mine.parent.mkdir(parents=True)
    shutil.copy(TOP / "models/kandinsky.safetensors", mine)
    return tmp_path


def typed(command, workplace, *more):
    """Run a line of the README as a user types it, in a shell."""
    line = command.replace("python scripts/", f"{shlex.quote(sys.executable)} {shlex.quote(str(TOP))}/scripts/")
    line = " ".join([line, *map(shlex.quote, more)])
    return subprocess.run(line, shell=True, cwd=workplace, capture_output=True, text=True, timeout=540)


@pytest.mark.parametrize("command", readme_commands("infer.py"))
def test_the_readmes_ways_to_paint(command, workplace):
    before = set(workplace.rglob("*"))
    result = typed(command, workplace)
    assert result.returncode == 0, result.stderr
    assert [path for path in set(workplace.rglob("*")) - before if path.is_file()]


def test_the_readmes_ways_to_train(workplace):
    commands = readme_commands("train.py")
    assert any("resume=last" in command for command in commands)
    for command in dict.fromkeys(commands):
        result = typed(command, workplace, *SMALL, "trainer.max_steps=4")
        if "resume=last" in command:
            assert result.returncode == 2 and "has its 4 steps already" in result.stderr
        else:
            assert result.returncode == 0, result.stderr
    assert list(workplace.glob("runs/my/*/models/my.safetensors"))


@pytest.mark.parametrize("command", readme_commands("optimize.py"))
def test_the_readmes_ways_to_optimize(command, workplace):
    result = typed(command, workplace, "iterations=2", "scales=[32,48]")
    assert result.returncode == 0, result.stderr
    assert list(workplace.rglob("*_progress.webp"))


@pytest.mark.parametrize("command", readme_commands("compare.py"))
def test_the_readmes_ways_to_compare(command, workplace):
    result = typed(command, workplace, "iterations=2", "sizes=[32]", "starts=[photo]", "photos=holiday")
    assert result.returncode == 0, result.stderr
    assert list(workplace.rglob("*.html")) and list(workplace.rglob("comparison/*.png"))


def test_the_readmes_python(workplace):
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=workplace, check=True, timeout=300)
    assert Image.open(workplace / "painted.jpg").size == (120, 80)


def test_mistakes_of_the_other_commands(refused):
    refused(["benchmark.py"], "benchmark")
    refused(["benchmark.py", "lunch"], "lunch", "train")
    refused(["benchmark.py", "infer", "contenders=[abacus]"], "abacus", "openvino")
    refused(["download.py", "server=nowhere"], "web address")
    refused(["infer.py", "input=my photo (1).jpg"], "quotes")
