"""Training that is watched from a page: in a process of its own, which ends with its watcher."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from allaprima.errors import UserError

POLL_SECONDS = 1.0
BAR_BYTES = 1 << 16  # at the end of what is printed, in which the bar stands
STEPS_A_MINUTE = 100
TrainCommand = Callable[[Path, int, Path], list[str]]  # a program and its arguments, by painting, steps and folder
RUNNING: set[subprocess.Popen[bytes]] = set()


class Progress(NamedTuple):
    """Where training stands."""

    seconds: float  # since it began
    step: int  # of those that it takes, 0 before the first
    sheet: Path | None  # the newest, photographs beside their stylized images; None before the first
    network: Path | None  # the file, at the end; None before


def train_watched(command: list[str], folder: Path) -> Iterator[Progress]:
    """Run a command that trains a network below an empty folder, and tell about it every second.

    An iterator that is closed ends the training. Raises UserError with the line that training ended with.
    """
    log = folder / "log.txt"
    started = time.monotonic()
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "torch")}  # which PyTorch makes when imported
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
        )
    RUNNING.add(process)
    try:
        while process.poll() is None:
            yield Progress(time.monotonic() - started, step_of(log), newest(folder, "*/*/samples/*.png"), None)
            time.sleep(POLL_SECONDS)
    finally:
        RUNNING.discard(process)
        process.kill()
        process.wait()
    network = newest(folder, "*/*/models/*.safetensors")
    if network is None:
        lines = log.read_text(errors="replace").splitlines()
        told = next((line for line in reversed(lines) if line.startswith("error: ")), "training ended early")
        raise UserError(told.removeprefix("error: ").replace(f"{folder}/", ""))
    yield Progress(time.monotonic() - started, step_of(log), newest(folder, "*/*/samples/*.png"), network)


def step_of(log: Path) -> int:
    """The step that training's bar has come to, by what it has printed."""
    with log.open("rb") as printed:
        printed.seek(max(0, log.stat().st_size - BAR_BYTES))
        steps = re.findall(rb"Epoch [^\r\n]*\| +(\d+)/\d+ \[", printed.read())
    return int(steps[-1]) if steps else 0


def end_with_watcher() -> None:
    """In the process that trains: end it when its watcher does, even by kill -9, which closes the pipe between them."""

    def wait() -> None:
        os.read(0, 1)  # not by sys.stdin, which processes that are forked would wait for
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end_training() -> None:
    """End what is still being trained: when the server ends, nobody closes its visitors' iterators."""
    for process in list(RUNNING):
        process.kill()
        process.wait()


def newest(folder: Path, pattern: str) -> Path | None:
    """The file written last of those that a pattern matches; None if there is none."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime, default=None)
