import os
import socket
import subprocess
import sys

import pytest

from allaprima.errors import UserError
from allaprima.training.processes import STARTED, VARIABLES, cluster_environment, is_started, prepare_processes

SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "painting", "SLURM_PROCID": "2", "SLURM_NODELIST": "node1"}


@pytest.fixture
def surrounded(monkeypatch):
    """Put variables of another program into the environment, which has none of the run's own."""

    def call(**variables):
        for name in (*VARIABLES, *SLURM, "SLURM_NTASKS_PER_NODE", STARTED):
            monkeypatch.setenv(name, "")  # so that what is deleted comes back
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return call


def test_plain_run_is_its_own(surrounded, monkeypatch):
    surrounded(**SLURM, RANK="3", LOCAL_RANK="1", MASTER_PORT="abc")
    prepare_processes(None)
    environment = cluster_environment(None)
    assert not environment.creates_processes_externally and environment.local_rank() == 0
    assert 0 < environment.main_port < 65536


def test_processes_of_the_run_keep_their_ranks(surrounded, monkeypatch):
    surrounded()
    prepare_processes(None)
    for name, value in {"LOCAL_RANK": "1", "MASTER_PORT": "4242"}.items():  # as Lightning does
        monkeypatch.setenv(name, value)
    prepare_processes(None)
    environment = cluster_environment(None)
    assert (environment.local_rank(), environment.main_port) == (1, 4242) and is_started()
    monkeypatch.setenv("LOCAL_RANK", "0")  # which Lightning leaves in the process that has started the others
    prepare_processes("ddp")
    assert not cluster_environment("ddp").creates_processes_externally


def test_strategy_takes_the_allocation(surrounded):
    surrounded(**SLURM, SLURM_NTASKS_PER_NODE="4")
    prepare_processes("ddp")
    assert cluster_environment("ddp").creates_processes_externally
    surrounded(**SLURM)
    with pytest.raises(UserError, match=r"ntasks-per-node"):
        prepare_processes("ddp")


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "99999999999999999999", "", "taken"])
def test_meeting_places_are_checked(surrounded, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        surrounded(MASTER_PORT=str(taken.getsockname()[1]) if port == "taken" else port)
        with pytest.raises(UserError, match=r"MASTER_PORT=.* free port"):
            prepare_processes("ddp")
    surrounded(MASTER_ADDR="203.0.113.1")  # for documentation: nobody's
    with pytest.raises(UserError, match=r"MASTER_ADDR=203\.0\.113\.1"):
        prepare_processes("ddp")


def test_processes_of_others_are_refused(surrounded):
    surrounded(LOCAL_RANK="0")
    with pytest.raises(UserError, match="leave out torchrun"):
        prepare_processes("ddp")


def test_ranks_that_are_no_numbers():
    """Lightning reads them when it is imported."""
    program = "from allaprima.cli import quiet_libraries; quiet_libraries(); import pytorch_lightning"
    environment = os.environ | {"RANK": "x", "LOCAL_RANK": "abc", "SLURM_PROCID": ""}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
