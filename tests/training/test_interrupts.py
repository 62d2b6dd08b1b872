import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from allaprima.commands.train import train

from ..conftest import SMALL, TOP, train_config
from .conftest import CtrlC


@pytest.mark.parametrize(
    ("step", "validating", "words"),
    [(2, False, "start again"), (4, True, "start again"), (5, False, "resume=last"), (6, True, "resume=last")],
)
def test_ctrl_c(tmp_path, interrupts, capsys, step, validating, words):
    small = (*SMALL, "trainer.max_steps=6", "data.workers=0")
    with pytest.raises(SystemExit) as end:
        train(train_config(*small, f"runs={tmp_path / 'ended'}"), [CtrlC(step, validating)])
    assert end.value.code == 130 and words in capsys.readouterr().out
    assert not list(tmp_path.glob("ended/*/*/models"))
    if words == "resume=last":
        ended = train(train_config(*small, f"runs={tmp_path / 'ended'}", "resume=last"))
        whole = train(train_config(*small, f"runs={tmp_path / 'whole'}"))
        networks = [load_file(path) for path in (ended, whole)]
        assert all(torch.equal(networks[0][name], value) for name, value in networks[1].items())


# As where Ctrl-C comes while the workers are told to end: they are not told then.
WITHOUT_SHUTDOWN = """
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter
_MultiProcessingDataLoaderIter._shutdown_workers = lambda self: None
from allaprima.cli import run
run("train")
"""


@pytest.mark.parametrize("program", [[TOP / "scripts/train.py"], ["-c", WITHOUT_SHUTDOWN]])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_process_group(tmp_path, sent, program):
    command = [sys.executable, *program, *SMALL, "trainer.max_steps=5000", f"runs={tmp_path}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **pipes)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "resume=last goes on" in out
    assert "Traceback" not in err and "Connection" not in err
