"""Training that is watched from a page: in a process of its own, which ends with its watcher."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from allaprima.errors import UserError, typed

POLL_SECONDS = 1.0  # seconds between two looks
STEPS_A_MINUTE = 100
RUNNING: set[subprocess.Popen[bytes]] = set()
COMMAND = (sys.executable, "-c", "from allaprima.cli import main; main()", "train")


class Progress(NamedTuple):
    """Where training stands.

    Attributes:
        seconds: since it began.
        sheet: the newest, photographs beside their stylized images; None before the first.
        network: the file, at the end; None before.
    """

    seconds: float
    sheet: Path | None
    network: Path | None


def train_watched(painting: Path, steps: int, folder: Path) -> Iterator[Progress]:
    """Train a network for a painting as `train.py` does by default, and tell about it every second.

    An iterator that is closed ends the training.

    Args:
        painting: the picture file.
        steps: of training.
        folder: for all that it leaves, empty.

    Raises:
        UserError: with the line that `train.py` ended with, if it did not end well.
    """
    settings = [typed("style.image", painting), typed("runs", folder), f"trainer.max_steps={steps}"]
    log, started = folder / "log.txt", time.monotonic()
    command = [*COMMAND, *shlex.split(" ".join(settings))]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "torch")}  # which PyTorch makes when imported
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    RUNNING.add(process)
    try:
        while process.poll() is None:
            yield Progress(time.monotonic() - started, newest(folder, "*/*/samples/*.png"), None)
            time.sleep(POLL_SECONDS)
    finally:
        RUNNING.discard(process)
        process.kill()
        process.wait()
    network = newest(folder, "*/*/models/*.safetensors")
    if network is None:
        lines = log.read_text(errors="replace").splitlines()
        raise UserError(next((line for line in reversed(lines) if line.startswith("error: ")), "training ended early"))
    yield Progress(time.monotonic() - started, newest(folder, "*/*/samples/*.png"), network)


def end_training() -> None:
    """End what is still being trained: when the server ends, nobody closes its visitors' iterators."""
    for process in list(RUNNING):
        process.kill()
        process.wait()


def newest(folder: Path, pattern: str) -> Path | None:
    """The file written last of those that a pattern matches; None if there is none."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)
