import shutil
import sys

import pytest

from allaprima.cli import main

from .conftest import COFFEE, TOP


def test_invalid_arguments_are_refused(refused):
    refused(["benchmark.py"], "benchmark")
    refused(["benchmark.py", "lunch"], "lunch", "train")
    refused(["benchmark.py", "train", "benchmark.rounds=null"], "benchmark.rounds=null")
    refused(["benchmark.py", "infer", "sizes=[[1]]"], "sizes", "720p")
    refused(["benchmark.py", "infer", "contenders=[abacus]"], "abacus", "openvino")
    refused(["download.py", "server=nowhere"], "web address")
    refused(["infer.py", "input=my photo (1).jpg"], "input=my photo (1).jpg", "no such file")
    refused(["infer.py", "--input", "photo.jpg"], "--input", "input=photo.jpg")
    refused(["train.py", "+optimizer.momentum=1"], "+optimizer.momentum", "configs/")
    refused(["infer.py", "input=[]"], "nothing is left")


def test_help_lists_every_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["allaprima", "--help"])
    main()
    lines = capsys.readouterr().out.splitlines()
    for script in set((TOP / "scripts").glob("*.py")) - {TOP / "scripts/benchmark.py"}:
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
        ("train loss=5", ["loss=5", "johnson"]),
        ("train teacher_weight=20", ["teacher_weight= is terms.distillation= now"]),
        ("infer style=", ["style=", "udnie"]),
        ("infer -model=udnie", ["-m/--multirun"]),
        ("infer -content=photo.jpg", ["-c/--cfg", "job"]),
        ("infer style=all model=udnie", ["style=all", "leave out model="]),
        ("optimize output=-", ["output=-", "a file or a folder"]),
        ("optimize style.name=kandinsky_realtime", ["no style 'kandinsky_realtime'"]),
        ("train experiment=half", ["experiment=half", "full"]),
        ("infer network=null", ["no setting 'network'"]),
        ("infer network.grain=0.2", ["no setting 'network.grain'"]),
        ("train network.grain=0.2", ["network.grain= is network.input_noise= now"]),
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
def test_misspelt_settings(line, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["allaprima", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert all(word in told for word in words) and "+batchsize" not in told and "search path" not in told


def test_file_names_are_not_interpolated(run_script, tmp_path):
    shutil.copy(COFFEE, tmp_path / "a${oc.env:HOME}.png")
    result = run_script("infer.py", 'input="a${oc.env:HOME}.png"', "size=32", "output='b${c}.png'")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "b${c}.png").exists()


def test_names_are_typed_as_they_are(run_script, tmp_path):
    name = "IMG_(1) café, it's {new} [2] = 50%.png"
    shutil.copy(COFFEE, tmp_path / name)
    result = run_script("infer.py", f"input={name}", "size=32", f"output=b {name}")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / f"b {name}").exists()
    result = run_script("infer.py", f"input=a{name}")
    assert result.returncode == 2 and f"input=a{name}" in result.stderr
