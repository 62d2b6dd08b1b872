"""The processes of a run on several devices, and what the environment says of processes that are not the run's."""

import os
import socket
from datetime import datetime

from pytorch_lightning.plugins.environments import ClusterEnvironment, LightningEnvironment, SLURMEnvironment
from pytorch_lightning.utilities import rank_zero_only

from allaprima.errors import UserError

STARTED = "ALLAPRIMA_STARTED"  # when a run started: set for the processes that it starts itself
# Set by Lightning for those processes; and by torchrun, SLURM and others for theirs.
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")


def is_started() -> bool:
    """Whether this process is one that another process of the same run has started."""
    return STARTED in os.environ and os.environ.get("LOCAL_RANK", "0") != "0"


def prepare_processes(strategy: str | None) -> None:
    """Make the environment one in which a run's processes find each other. Raises UserError where they cannot.

    Without a strategy a run is its own: a SLURM allocation around it, or what another program has left in the
    environment, means nothing. With one, SLURM starts the processes if it is there.
    """
    if not is_started():
        check_environment(strategy)
        os.environ[STARTED] = now()


def now() -> str:
    """The time to the second, as a folder's name."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def check_environment(strategy: str | None) -> None:
    """Remove from the environment what is not for this run. Raises UserError as `prepare_processes` does."""
    if strategy is None or STARTED in os.environ:  # of an earlier run in this process
        for name in VARIABLES:
            os.environ.pop(name, None)
        rank_zero_only.rank = 0  # which Lightning read when it was imported
    elif SLURMEnvironment.detect():
        try:
            SLURMEnvironment()
        except (RuntimeError, ValueError) as error:
            raise UserError(f"trainer=ddp in this SLURM allocation: {error}") from error
    else:
        if "LOCAL_RANK" in os.environ:
            rank = os.environ["LOCAL_RANK"]
            raise UserError(f"LOCAL_RANK={rank}: training starts its processes itself; leave out torchrun, or unset it")
        check_meeting_place()


def cluster_environment(strategy: str | None) -> ClusterEnvironment:
    """What tells Lightning of a run's processes: SLURM, where a strategy asks for it, or Lightning itself."""
    return SLURMEnvironment() if strategy and SLURMEnvironment.detect() else LightningEnvironment()


def check_meeting_place() -> None:
    """Raises UserError where the processes cannot meet at the address and port that the environment names, if any."""
    address = os.environ.get("MASTER_ADDR", "127.0.0.1")
    port = os.environ.get("MASTER_PORT", "0")
    try:
        with socket.socket() as probe:
            probe.bind((address, int(port)))
    except (OSError, ValueError, OverflowError) as error:
        place = f"MASTER_ADDR={address} MASTER_PORT={port}"
        raise UserError(f"{place}: give an address and a free port of this machine, or unset both") from error
