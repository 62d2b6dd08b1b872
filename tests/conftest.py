import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from allaprima import weights
from allaprima.data.photos import STARTER_VALIDATION, packaged_photos, validation_squares
from allaprima.vgg import VGG

TOP = Path(__file__).parents[1]
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


@pytest.fixture(scope="session")
def craft():
    return weights.load("craft")


@pytest.fixture(scope="session")
def vgg(craft):
    return VGG(craft, STYLE_LAYERS)


@pytest.fixture(scope="session")
def held_out():
    """Photographs that no shipped network was trained on, (4, 3, 256, 256)."""
    return validation_squares(packaged_photos(STARTER_VALIDATION), 256)


@pytest.fixture
def command(tmp_path):
    """Run one of the project's scripts as a user would, in an empty folder."""

    def call(script, *arguments, **options):
        return subprocess.run(
            [sys.executable, str(TOP / "scripts" / script), *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=540,
            **options,
        )

    return call


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Check that a command ends as a user's mistake should: one line, exit status 2, no traceback.

    It runs in this process, which has taken its seconds to import PyTorch already.
    """

    def check(command, *words):
        script, *arguments = command
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOP / "scripts" / script), run_name="__main__")
        assert end.value.code == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith("error: ")
        for word in words:
            assert str(word) in line

    return check


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
