"""A run's folder: made for a new run, found again for one that goes on."""

import os
import time
from pathlib import Path
from typing import Any

import torch

from allaprima.errors import UserError
from allaprima.networks.metadata import Metadata, metadata_from
from allaprima.old_names import translated
from allaprima.training.processes import STARTED, is_started, now

# Of a network's metadata, what a run and its resumption must have in common.
COMPARED = ("network", "style_size", "loss_network", "loss", "teacher")
LAST = Path("checkpoints", "last.ckpt")  # in a run's folder
NETWORK_FOLDER = "models"  # likewise


def new_folder(runs: Path, name: str) -> Path:
    """Make a folder for a run that starts now: NAME/date_time below `runs`, the same for all its processes."""
    if is_started():
        return runs / name / os.environ[STARTED]
    while True:
        os.environ[STARTED] = now()
        folder = runs / name / os.environ[STARTED]
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # of a run that started in the same second
            time.sleep(0.1)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}") from error
        else:
            return folder


def find_checkpoint(resume: str | None, runs: Path, metadata: Metadata, settings: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from: none, a path, or for `last` the newest of this style.

    Raises UserError if it cannot be read, is of a run with other settings, or is finished.
    """
    if resume is None:
        return None
    if resume == "last":
        folder = runs / metadata.name
        found = sorted(folder.glob(f"*/{LAST}"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UserError(f"nothing to resume: {folder} holds no run with a checkpoint; leave out resume=last")
        path = found[-1]
    else:
        path = Path(str(resume)).resolve()
    checkpoint, theirs = read_checkpoint(path, resume)
    if path.parent.name != LAST.parent.name:
        raise UserError(f"resume={resume} is not in a run's folder: put it back into RUN/{LAST.parent}")
    if digests(theirs) != digests(metadata):
        raise UserError(f"{path} is of {theirs.title}, not {metadata.title}: give the same style=")
    if theirs.names != metadata.names:
        raise UserError(f"{path} is of a picture called {', '.join(theirs.names)}: call this one so too")
    network = path.parents[1] / NETWORK_FOLDER / f"{theirs.name}.safetensors"
    trained_on = (
        f"; to train its network further, leave out resume= and give init={network}" if network.exists() else ""
    )
    before = comparable(theirs, checkpoint["settings"])
    for key, mine in comparable(metadata, settings).items():
        if before.get(key) != mine:
            advice = f"give the same to resume{trained_on}"
            raise UserError(f"{path} was trained with {key}={before.get(key)}, not {mine}: {advice}")
    if checkpoint["global_step"] >= settings["max_steps"] and network.exists():
        raise UserError(f"{path} has its {checkpoint['global_step']} steps already{trained_on}")
    return path


def digests(metadata: Metadata) -> list[str]:
    """Which pictures the paintings were read from."""
    return [painting.sha256 for painting in metadata.paintings]


def read_checkpoint(path: Path, resume: str) -> tuple[dict[str, Any], Metadata]:
    """A checkpoint's content, and what it says of its network. Raises UserError, which has the name that was given."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        theirs = metadata_from(checkpoint["allaprima"])
        checkpoint["settings"] = translated(checkpoint["settings"])
        comparable(theirs, checkpoint["settings"])
        return checkpoint, theirs
    except FileNotFoundError as error:
        raise UserError(f"resume={resume}: there is no such file; resume=last takes the newest run's") from error
    except PermissionError as error:
        raise UserError(f"resume={resume}: no permission to read {path}") from error
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise UserError(f"resume={resume} is no checkpoint of this project: take RUN/{LAST}") from error


def comparable(metadata: Metadata, settings: dict[str, Any]) -> dict[str, Any]:
    """What a run and its resumption must have in common, by name; not how many processes read its data."""
    named = {}
    facts = metadata.as_dict()
    for key, value in ({name: facts[name] for name in COMPARED} | settings).items():
        named |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return {name: value for name, value in named.items() if name != "data.workers"}
