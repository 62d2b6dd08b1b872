import os
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import DataLoader

from allaprima.commands.train import train
from allaprima.data.module import passing_failure
from allaprima.errors import UserError

from ..conftest import COFFEE, SMALL, TOP, train_config


def run_process(*arguments, before=None):
    command = [sys.executable, TOP / "scripts/train.py", *SMALL, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, preexec_fn=before)


def test_full_disk(tmp_path):
    def full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    small = ("trainer.max_steps=4", f"runs={tmp_path}", "logger.csv=false", "data.workers=0")
    ended = run_process(*small, before=full)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert re.search(r"^error: cannot write .*\.(ckpt|png): ", ended.stderr, re.MULTILINE)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".ckpt" or path.name.startswith(".allaprima")]


class Vanishes(pl.Callback):
    """Photographs that are there no more after some steps."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 2:
            shutil.rmtree(self.folder)


def test_vanishing_photographs(tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(COFFEE, tmp_path / "photos/1.png")
    small = (*SMALL, f"runs={tmp_path / 'runs'}", "trainer.max_steps=400", "trainer.val_every=1", "data.workers=0")
    small += ("data=folder", f"data.root={tmp_path / 'photos'}")
    with pytest.raises(UserError, match="photographs in a row could not be read"):
        train(train_config(*small), [Vanishes(tmp_path / "photos")])
    assert list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt"))


@pytest.mark.parametrize("broken", [1, 18])
def test_broken_photographs_are_counted(tmp_path, capsys, broken):
    """Of twenty; what all of them being broken gives is in data/test_module.py."""
    for number in range(20):
        photo = tmp_path / "photos" / f"{number}.png"
        photo.parent.mkdir(exist_ok=True)
        Image.new("RGB", (70, 70), (number, 99, 0)).save(photo)
        if number < broken:
            photo.write_bytes(photo.read_bytes()[:60])
    small = (
        *SMALL,
        "data=folder",
        f"data.root={tmp_path / 'photos'}",
        f"runs={tmp_path}",
        "data.workers=0",
        "data.batch_size=1",
    )
    steps = 20 if broken == 1 else 3  # every photograph once; or some
    path = train(train_config(*small, f"trainer.max_steps={steps}", f"trainer.val_every={steps}"))
    counted = re.search(r"(\d+) times a photograph could not be read", capsys.readouterr().out)
    assert path.exists() and (int(counted[1]) == 1 if broken == 1 else int(counted[1]) > 5)


def test_missing_batches_end_the_run(tmp_path):
    """As in a temporary folder whose path is too long for a socket: they cannot be passed on."""
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    program = """
from allaprima.data import module
module.WAIT_SECONDS, module.LONGEST_FOLDER = 3, 1000
from allaprima.cli import run
run("train")
"""
    command = [sys.executable, "-c", program, *SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=1"]
    environment = os.environ | {"TMPDIR": str(folder)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 2 and "timed out after 3 seconds; data.workers=0" in ended.stderr.splitlines()[-1]


def little_room(_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # which holds for shared memory, too
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_small_shared_memory():
    """As in a container that has 64 MB of it."""
    photos = DataLoader(torch.zeros(4, 3, 64, 64), num_workers=1, worker_init_fn=little_room)
    with pytest.raises(RuntimeError) as caught:
        list(photos)
    assert "no room in the memory that processes share" in passing_failure(caught.value)
    assert "torch_" not in passing_failure(caught.value)
    assert passing_failure(RuntimeError("shapes differ")) is None and passing_failure(ValueError("DataLoader")) is None


def test_divergence(tmp_path):
    settings = ("optimizer.learning_rate=1e30", "trainer.max_steps=8", "data.workers=0")
    with pytest.raises(UserError, match="NaN or infinite"):
        train(train_config(*SMALL, f"runs={tmp_path}", *settings))
