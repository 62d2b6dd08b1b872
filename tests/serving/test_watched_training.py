import pytest
from PIL import Image

from allaprima.commands.serve import train_command
from allaprima.errors import UserError
from allaprima.inference.stylizer import Stylizer
from allaprima.serving.watched_training import train_watched

from ..conftest import COFFEE, wait_for
from .conftest import count_processes


def test_reports(tmp_path):
    Image.open(COFFEE).resize((96, 64)).save(tmp_path / "coffee.png")
    reports = list(train_watched(train_command(tmp_path / "coffee.png", 2, tmp_path), tmp_path))
    assert all(report.network is None for report in reports[:-1]) and reports[-1].sheet.exists()
    assert Stylizer.load(reports[-1].network).metadata.style.name == "coffee"


def test_training_ends_with_its_watcher(tmp_path):
    watched = train_watched(train_command(COFFEE, 1000, tmp_path), tmp_path)
    next(watched)
    assert count_processes(tmp_path)
    watched.close()
    wait_for(lambda: not count_processes(tmp_path))
    with pytest.raises(UserError, match=r"missing\.png"):
        list(train_watched(train_command(tmp_path / "missing.png", 2, tmp_path), tmp_path))
