import os
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hydra import compose, initialize_config_dir

from allaprima.data.photos import STARTER_VALIDATION, packaged_photos, validation_squares
from allaprima.losses import vgg_weights
from allaprima.losses.vgg import VGG

TOP = Path(__file__).parents[1]
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each of the processes
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
# Settings of training that take seconds.
SMALL = (
    "network.width=8",
    "network.blocks=1",
    "data.size=64",
    "data.batch_size=4",
    "data.validation_size=128",
    "trainer.val_every=4",
    "optimizer.warmup_steps=2",
)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def settings(command, *overrides):
    """What a command gets from `configs/` and from a command line's overrides."""
    with initialize_config_dir(str(TOP / "configs"), version_base="1.3"):
        return compose(command, overrides)


@pytest.fixture(scope="session")
def caffe():
    return vgg_weights.load("caffe")


@pytest.fixture(scope="session")
def vgg(caffe):
    return VGG(caffe, STYLE_LAYERS)


@pytest.fixture(scope="session")
def held_out():
    """Photographs that no bundled network was trained on, (4, 3, 256, 256)."""
    return validation_squares(packaged_photos(STARTER_VALIDATION), 256)


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run one of the project's scripts as a user would, in an empty folder.

    It runs in this process, which has taken its seconds to import PyTorch already.
    """

    def call(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capfd.readouterr()
        try:
            runpy.run_path(str(TOP / "scripts" / script), run_name="__main__")
            returncode = 0
        except SystemExit as end:
            returncode = end.code
        return Ended(returncode, *capfd.readouterr())

    return call


@pytest.fixture
def refused(command):
    """Check that a command ends as a user's mistake should: one line, exit status 2, no traceback."""

    def check(arguments, *words):
        ended = command(*arguments)
        assert ended.returncode == 2
        (line,) = ended.stderr.splitlines()
        assert line.startswith("error: ")
        for word in words:
            assert str(word) in line

    return check


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
