import re
import shutil

import pytest
from PIL import Image

from benchmarks import quality
from benchmarks.quality import Point, speedup
from benchmarks.settings import BenchmarkSettings

from ..conftest import SMALL, compose_config


def test_quality_benchmark(in_this_process, run_script, refused, tmp_path):
    small = ["quality", "style=udnie", *SMALL, "data.workers=0", "benchmark.size=32", "benchmark.baseline_every=2"]
    small += ["benchmark.baseline_steps=4", "trainer.max_steps=8", "benchmark.sizes=[48,64]"]
    whole = run_script("benchmark.py", *small)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "measured/quality/udnie"
    curves = {name: quality.read_curve(folder / name, [48, 64]) for name in ("baseline", "trainer")}
    assert {name: [point.step for point in points] for name, points in curves.items()} == {
        "baseline": [2, 4],
        "trainer": [4, 8],
    }
    small_size, large_size, last = whole.stdout.splitlines()[-3:]
    assert re.fullmatch(r"speedup at 48 x 48: \d+\.\d, to the baseline's lowest, at step [24]: \d+\.\d", small_size)
    assert re.fullmatch(rf"{last.replace(' ', ' at 64 x 64: ')}, to .*", large_size) and re.match(r"speedup \d", last)
    assert all(Image.open(folder / file).width > 400 for file in ("curves.png", "sheet.jpg"))

    shutil.rmtree(folder / "baseline")
    (folder / "sheet.jpg").unlink()
    again = run_script("benchmark.py", *small)
    assert again.returncode == 0, again.stderr
    assert "trainer: as measured before" in again.stdout and "baseline: as" not in again.stdout
    redone = quality.read_curve(folder / "baseline", [48, 64])
    assert [point.objectives for point in redone] == [point.objectives for point in curves["baseline"]]
    assert quality.read_curve(folder / "trainer", [48, 64]) == curves["trainer"]
    assert (folder / "sheet.jpg").exists()

    refused(["benchmark.py", *small, "optimizer.learning_rate=1"], "holds results of other settings")
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


@pytest.mark.parametrize("train", [quality.train_baseline, quality.train_ours])
def test_interrupted_curve_is_resumed(train, tmp_path, monkeypatch):
    def read_settings(folder):
        small = (
            *SMALL,
            "data.workers=0",
            "benchmark.size=32",
            "benchmark.baseline_every=4",
            "benchmark.baseline_steps=8",
        )
        small += ("trainer.max_steps=8", "benchmark.sizes=[48]", f"benchmark.output={folder}")
        return BenchmarkSettings.read(compose_config("benchmark", "benchmark=quality", "style=udnie", *small))

    def objectives(folder):
        (path,) = folder.iterdir()
        return {point.step: point.objectives for point in quality.read_curve(path, [48])}

    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(read_settings(whole))
    evaluate = quality.Evaluator.on_validation_epoch_end
    looks = []

    def look(evaluator, trainer, module):
        looks.append(trainer.global_step)
        if looks == [4, 8]:
            raise InterruptedError
        evaluate(evaluator, trainer, module)

    monkeypatch.setattr(quality.Evaluator, "on_validation_epoch_end", look)
    with pytest.raises(InterruptedError):
        train(read_settings(halves))
    train(read_settings(halves))
    assert looks == [4, 8, 8]
    assert objectives(halves) == objectives(whole) != {}


def test_speedup():
    ours = [Point(50, 60.0, (0.4, 0.5)), Point(100, 120.0, (0.2, 0.4)), Point(150, 180.0, (0.3, 0.3))]
    goal = Point(500, 2400.0, (0.3, 0.2))
    assert speedup(goal, ours, 0) == 20 and speedup(goal, ours, 1) == 0
