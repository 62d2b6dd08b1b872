import subprocess
import sys
import time
from pathlib import Path

from ..conftest import wait_for


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_killed_benchmark_leaves_no_process():
    program = "import time; from benchmarks.rounds import in_fresh_process; in_fresh_process(time.sleep, 600)"
    parent = subprocess.Popen([sys.executable, "-c", program])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    try:
        worker = wait_for(
            lambda: [pid for pid in children.read_text().split() if "spawn_main" in command_line(pid)], 120
        )[0]
        time.sleep(2)  # until it is at work
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: "spawn_main" not in command_line(worker))
