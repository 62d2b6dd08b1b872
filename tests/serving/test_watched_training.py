import os
import subprocess
import sys

import pytest
from PIL import Image

from allaprima.commands.serve import train_command
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.serving.watched_training import train_watched

from ..conftest import COFFEE, TOP, wait_for
from .conftest import count_processes


def test_reports(tmp_path):
    Image.open(COFFEE).resize((96, 64)).save(tmp_path / "coffee.png")
    reports = list(train_watched(train_command(tmp_path / "coffee.png", 2, tmp_path), tmp_path))
    assert all(report.network is None for report in reports[:-1]) and reports[-1].sheet.exists()
    steps = [report.step for report in reports]
    assert steps[0] == 0 and steps[-1] == 2 and steps == sorted(steps)
    assert Stylizer.load(reports[-1].network).painting.name == "coffee"


def test_training_ends_with_its_watcher(tmp_path):
    watched = train_watched(train_command(COFFEE, 1000, tmp_path), tmp_path)
    next(watched)
    assert count_processes(tmp_path)
    watched.close()
    wait_for(lambda: not count_processes(tmp_path))
    with pytest.raises(UserError, match=r"missing\.png"):
        list(train_watched(train_command(tmp_path / "missing.png", 2, tmp_path), tmp_path))


def test_training_ends_with_a_killed_watcher(tmp_path):
    program = f"""
from pathlib import Path
from allaprima.commands.serve import train_command
from allaprima.serving.watched_training import train_watched
folder = Path({str(tmp_path)!r})
list(train_watched(train_command(Path({str(COFFEE)!r}), 1000, folder), folder))
"""
    (tmp_path / "watcher").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(TOP / "src")}
    watcher = subprocess.Popen([sys.executable, tmp_path / "watcher"], env=environment)
    wait_for(lambda: count_processes(tmp_path) > 1, 60)
    watcher.kill()
    watcher.wait()
    wait_for(lambda: not count_processes(tmp_path), 60)


def test_messages_name_no_temporary_folder(tmp_path):
    program = "import sys; sys.exit(f'error: cannot write {sys.argv[1]}/runs: no space')"
    with pytest.raises(UserError, match=r"^cannot write runs: no space$"):
        list(train_watched([sys.executable, "-c", program, str(tmp_path)], tmp_path))
