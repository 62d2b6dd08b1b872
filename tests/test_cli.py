import os
import shutil
import subprocess
import sys

import pytest
from hydra import initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from allaprima.cli import CONFIGS, FILES, composed, literal, main, meant, register_styles, separated, visible_place
from allaprima.commands.infer import InferSettings

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
    refused(["train.py", "+optimizer.momentum=1"], "+optimizer.momentum", "`train --help`")
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
        ("train optimizer.lr=1", ["no setting 'optimizer.lr'", "optimizer has learning_rate, code_rate"]),
        ("train max_steps=9", ["did you mean trainer.max_steps?"]),
        ("train trainer=fast", ["trainer=fast", "cpu, ddp, gpu"]),
        ("train optimizer=fast", ["optimizer is a group", "optimizer.learning_rate="]),
        ("infer style=edtaonsl", ["did you mean edtaonisl?", "kandinsky"]),
        ("infer style=Kandinsky", ["did you mean kandinsky?", "udnie"]),
        ("train data.source=photos", ["data.source=photos", "one of starter, leaves"]),
        ("infer output=", ["output=: give a name or a path"]),
        ("train data.root=", ["data.root=: give a name or a path"]),
        ("infer style.name=", ["style.name=: give a name"]),
        ("train optimizer={rate:1}", ["no setting 'optimizer.rate'", "code_rate"]),
        ("train loss.content_distance=[1]", ["loss.content_distance=[1]"]),
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
        ("infer brush=wide", ["brush=wide", "0.25 to 16", "auto"]),
        ("infer brush=null", ["brush=null: give a number"]),
        ("train loss.content_distance=abc", ["loss.content_distance=abc: give a number"]),
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


def test_interrupted_while_it_is_imported(tmp_path):
    (tmp_path / "hydra.py").write_text("raise KeyboardInterrupt")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, TOP / "scripts" / "infer.py"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")


@given(st.text(st.sampled_from("ab1 .,:;=()[]{}<>'\"\\$~#%&*?!@+-_|é日\t\xa0"), max_size=12))
def test_any_name_is_taken_as_it_is(text):
    name = f"a{text}.jpg"
    assert OmegaConf.to_container(OmegaConf.create({"input": literal(meant(name))}), resolve=True) == {"input": name}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("[my photo (1).jpg,it's ${a}.jpg]", ["my photo (1).jpg", "it's ${a}.jpg"]),
        ("[~/a.jpg, b.jpg]", ["/home/me/a.jpg", "b.jpg"]),
        ("[32,64]", [32, 64]),
        ("~/painted", "/home/me/painted"),
        ("'~/painted'", "~/painted"),
        ("https://example.org/~me//a.png", "https://example.org/~me//a.png"),
        ("2024_01", "2024_01"),
        ("-1", -1),
        ("1e-3", 1e-3),
        ("true", True),
        ("null", None),
        ("int(5)", "int(5)"),
        ("", ""),
    ],
)
def test_values(typed, value, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert meant(typed) == value


def test_home_folder(run_script, tmp_path, photo_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    result = run_script("infer.py", f"input={photo_path}", "size=32", "output=~/painted")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "home/painted").iterdir()) and not (tmp_path / "~").exists()


@pytest.mark.parametrize("streams", ["| head -n 0", "2>&1 | head -n 0", ">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_missing_streams(streams, tmp_path):
    """They may be closed, or have no reader any more."""
    shell = f"set -o pipefail; {sys.executable} {TOP}/scripts/infer.py --help {streams}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0 and not ended.stderr


def test_libraries_are_quiet(tmp_path):
    """Neither a notebook's backend of figures, which need not be installed, nor warnings."""
    program = """
import warnings
from allaprima.cli import quiet_libraries
quiet_libraries()
import matplotlib.pyplot
warnings.warn("of a library's own")
"""
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_names_do_not_reach_the_terminal_raw(run_script, tmp_path):
    shutil.copy(COFFEE, tmp_path / "a\x1b[31mb.png")
    (tmp_path / "bad\x1b[31m.png").write_text("no picture")
    result = run_script("infer.py", f"input={tmp_path}", "size=32", "fast=true")
    assert result.returncode == 2 and "\x1b[31m" not in result.stdout + result.stderr
    assert r"a\x1b[31mb.png" in result.stdout and r"bad\x1b[31m.png" in result.stderr


def test_temporary_files_are_not_named():
    assert visible_place("painted/.allaprima-x7.mp4") == "painted"
    assert visible_place("painted/a.mp4") == "painted/a.mp4"


ODD_NAMES = [
    "photo.jpg",
    "IMG_(1).jpg",
    "café.jpg",
    "it's me.jpg",
    "a,b.jpg",
    "a=b.jpg",
    "[x].jpg",
    "${HOME}.jpg",
    "1.5",
]


@pytest.fixture
def folder_of_names(tmp_path, monkeypatch):
    """The working folder, with files of odd names."""
    for name in ODD_NAMES:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


def test_files_named_alone(folder_of_names):
    register_styles()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        files, settings = separated("infer", [*ODD_NAMES, "style=udnie", "-", "phto.jpg"])
        assert files == [*ODD_NAMES, "-", "phto.jpg"] and settings == ["style=udnie"]
        config = composed("infer", [("style", "udnie")], files)
        assert InferSettings.read(config).input == files and config.style.name == "udnie"
        for command, setting in FILES.items():
            config = OmegaConf.to_container(composed(command, [], ["${a}.jpg"]))
            named = config[setting] if setting in config else config["style"]["image"]
            assert named == ([r"\${a}.jpg"] if command == "infer" else r"\${a}.jpg")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("infer photo.jpg input=photo.jpg", ["photo.jpg means input=photo.jpg", "one of the two"]),
        ("train photo.jpg a,b.jpg", ["one file", "style.image=", "leave out a,b.jpg"]),
        ("serve photo.jpg", ["photo.jpg", "no setting"]),
        ("infer phto.jpg", ["input=phto.jpg", "no such file"]),
    ],
)
def test_files_named_alone_are_refused(line, words, folder_of_names, monkeypatch, capsys):
    test_misspelt_settings(line, words, monkeypatch, capsys)
