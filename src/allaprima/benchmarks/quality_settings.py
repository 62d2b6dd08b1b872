"""What a measured curve of quality depends on, kept beside it so that it is not taken for something else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from allaprima.benchmarks.settings import QualityBenchmark
from allaprima.commands.settings import Settings
from allaprima.errors import UserError
from allaprima.hardware import processor_name
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically

SETTINGS = "settings.yaml"
# What the baseline takes no notice of.
ONLY_OURS = {"data": ("size", "batch_size", "validation_size"), "loss": ("content_distance",)}


def baseline_settings(settings: QualityBenchmark, style: Style) -> dict[str, Any]:
    """What the baseline's result depends on."""
    network = chosen(settings.network, ("width", "blocks"))
    loop = chosen(settings.benchmark, ("size", "batch_size", "baseline_steps", "baseline_every"))
    return task(settings, style) | network | loop


def our_settings(settings: QualityBenchmark, style: Style, start: dict[str, Any] | None) -> dict[str, Any]:
    """What this trainer's result depends on; `start` is what `initial_network` tells of the network begun with."""
    groups = {name: getattr(settings, name).asdict() for name in ("network", "trainer", "optimizer")}
    own = {group: chosen(getattr(settings, group), names) for group, names in ONLY_OURS.items()}
    begun = {name: start[name] for name in ("style", "steps", "seconds")} if start else None
    return task(settings, style) | groups | {"only_ours": own, "start": begun, "teacher": settings.teacher}


def task(settings: QualityBenchmark, style: Style) -> dict[str, Any]:
    """What both results depend on."""
    loss = settings.loss.asdict()
    return {
        "painting": {"sha256": style.sha256, "size": settings.style.size},
        "data": chosen(settings.data, ("source", "root", "leaves_share", "validation_photos")),
        "loss": {name: value for name, value in loss.items() if name not in ONLY_OURS["loss"]},
        "judged": {"sizes": list(settings.benchmark.sizes), "margin": settings.benchmark.margin},
        "seed": settings.seed,
    }


def chosen(group: Settings, names: Sequence[str]) -> dict[str, Any]:
    """Some of a group's settings."""
    return {name: getattr(group, name) for name in names}


def machine() -> dict[str, Any]:
    """What seconds depend on beside the program."""
    return {"processor": processor_name(), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}


def with_machine(folder: Path, settings: dict[str, Any], done: bool) -> dict[str, Any]:
    """What a result depends on, with the machine that it is, or was, measured on.

    Args:
        folder: of the result.
        settings: of it.
        done: the result is there and need not be measured on this machine.

    Raises:
        UserError: the folder holds the result, or the beginning of one, of something else.
    """
    mine = settings | {"machine": machine()}
    if (folder / SETTINGS).exists() and any((folder / name).exists() for name in ("curve.csv", "state")):
        kept = OmegaConf.to_container(OmegaConf.load(folder / SETTINGS))
        if done:
            mine["machine"] = kept.get("machine")
        if kept != mine:
            raise UserError(f"{folder} holds results of other settings or another machine: move it away to start again")
    return mine


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Keep what a result depends on in its folder."""
    write_atomically(folder / SETTINGS, OmegaConf.to_yaml(OmegaConf.create(settings)).encode())
