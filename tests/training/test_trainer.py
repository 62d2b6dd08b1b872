import os
import subprocess
import sys

import pytest

from allaprima.commands.train import train
from allaprima.errors import UserError
from allaprima.networks.files import load_network
from allaprima.training.trainer import LoggerSettings, TrainerSettings, make_loggers

from ..conftest import SMALL, train_config


def test_steps_per_device():
    assert TrainerSettings(devices=3).steps() == 167
    assert TrainerSettings().steps() == 500


def test_wandb_offline(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    path = train(
        train_config(*SMALL, f"runs={tmp_path}", "trainer.max_steps=4", "data.workers=0", "logger=both", "data=leaves")
    )
    assert list(path.parents[1].glob("wandb/offline-run-*/*.wandb"))
    assert list(path.parents[1].glob("log/*/metrics.csv"))


def test_wandb_mode(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert make_loggers(LoggerSettings(csv=False, wandb=True), tmp_path, "udnie") == []
    monkeypatch.setenv("WANDB_MODE", "disable")
    with pytest.raises(UserError, match=r"WANDB_MODE=disable: did you mean disabled\?"):
        make_loggers(LoggerSettings(wandb=True), tmp_path, "udnie")


def test_two_processes(tmp_path):
    script = tmp_path / "allaprima"  # since Lightning starts the file again
    script.write_text("from allaprima.cli import main\nmain()\n")
    command = [sys.executable, script, "train", *SMALL, f"runs={tmp_path}"]
    options = ("trainer.max_steps=8", "trainer.devices=2", "data.workers=0", "styles=[kandinsky,udnie]")
    with (tmp_path / "log.txt").open("wb") as log:  # no pipe, which a process that is left would hold open
        # A SLURM allocation around a run, and what is left of another program, are not for it.
        foreign = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "x", "SLURM_PROCID": "0", "MASTER_PORT": "abc"}
        ended = subprocess.run([*command, *options], stdout=log, stderr=log, timeout=400, env=os.environ | foreign)
    told = (tmp_path / "log.txt").read_text()
    assert ended.returncode == 0 and "sync_dist" not in told, told
    (path,) = tmp_path.glob("*/*/models/*.safetensors")
    metadata = load_network(path)[1]
    assert (metadata.steps, metadata.images_seen) == (4, 2 * 4 * 2)
