"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from torch import nn

from allaprima.commands.checks import (
    SMALLEST_SIDE,
    check_names,
    check_number,
    check_seed,
    check_switch,
    check_whole,
)
from allaprima.commands.objective import check_objective, load_objective, load_several
from allaprima.data.module import Photographs
from allaprima.errors import UserError, typed
from allaprima.hardware import fastest_precision, keep_freed_memory
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically
from allaprima.training.distillation import load_teacher, weights_sha256
from allaprima.training.initialization import initial_network, new_network
from allaprima.training.module import StyleTransfer
from allaprima.training.runs import LAST, NETWORKS, find_checkpoint, new_folder
from allaprima.training.trainer import make_loggers, make_trainer, quiet_lightning

SMALLEST_NUMBERS = {
    "network.width": 1,
    "network.blocks": 0,
    "data.size": SMALLEST_SIDE,
    "data.validation_size": SMALLEST_SIDE,
    "data.validation_photos": 1,
    "data.batch_size": 1,
    "data.workers": 0,
    "trainer.max_steps": 1,
    "trainer.val_every": 1,
    "optimizer.warmup_steps": 0,
}
PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def train(config: DictConfig, callbacks: Sequence[Callback] = ()) -> Path:
    """Train one network for one painting, as `configs/train.yaml` says.

    Args:
        config: the settings.
        callbacks: of Lightning's, beside those of every run.

    Returns:
        The network's file.

    Raises:
        UserError: anything in the configuration that cannot be done as it stands.
    """
    check_settings(config)
    keep_freed_memory()
    quiet_lightning()
    pl.seed_everything(config.seed, verbose=False)
    style, losses = training_objectives(config)
    teacher = load_teacher(config.teacher, style) if config.teacher else None
    data = Photographs(seed=config.seed, **config.data)
    metadata, settings = described(config, style, losses), comparable_settings(config, teacher, data)
    checkpoint = find_checkpoint(config.resume, Path(str(config.runs)), metadata, settings)
    network = OmegaConf.to_container(config.network)
    if checkpoint:
        folder, start = checkpoint.parents[1], "where it stopped"
        begun = new_network(network, config.styles)
    else:
        begun, ancestor = initial_network(network, config.styles, config.init, style.name)
        metadata["init"], start = ancestor, beginning(ancestor)
        folder = new_folder(Path(str(config.runs)), style.name)
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True).encode())
    distance = config.loss.content_distance
    module = StyleTransfer(begun, losses, metadata, settings, distance, **config.optimizer, teacher=teacher)
    loggers = make_loggers(**config.logger, folder=folder, style=style.name)
    own = {"max_steps": settings["max_steps"], "precision": settings["precision"]}
    trainer = make_trainer(OmegaConf.to_container(config.trainer) | own, folder, loggers, callbacks)
    print(f"training {style.title} ({style.artist}) from {start} in {folder}, computing in {trainer.precision}")
    fit(trainer, module, data, checkpoint, folder, config.trainer.val_every)
    path = folder / NETWORKS / f"{style.name}.safetensors"
    if trainer.is_global_zero:
        finish(module, path)
    return path


def described(config: DictConfig, style: Style, losses: Mapping[str, PerceptualLoss]) -> dict[str, Any]:
    """What a checkpoint and the network's file say of themselves."""
    return {
        "network": OmegaConf.to_container(config.network),
        "style": {name: getattr(style, name) for name in ("name", "title", "artist", "year", "source", "sha256")},
        "style_size": config.style.size,
        "styles": list(losses) if config.styles else None,
        "loss_network": next(iter(losses.values())).vgg.identity,
        "loss": OmegaConf.to_container(config.loss, resolve=True),
        "teacher": Path(str(config.teacher)).stem if config.teacher else None,
    }


def comparable_settings(config: DictConfig, teacher: nn.Module | None, data: Photographs) -> dict[str, Any]:
    """What else a run must have in common with the one that it resumes."""
    groups = {name: OmegaConf.to_container(config[name]) for name in ("data", "optimizer")}
    return groups | {
        "max_steps": steps(config.trainer),
        "devices": config.trainer.devices,
        "seed": config.seed,
        "precision": precision(config),
        "teacher_sha256": weights_sha256(teacher) if teacher else None,
        "photographs": len(data.photos),
    }


def beginning(ancestor: dict[str, Any] | None) -> str:
    """What a run begins with, in words."""
    if ancestor is None:
        return "random weights"
    return f"{'a part of ' if ancestor['pruned'] else ''}the network of {ancestor['style']}"


def fit(
    trainer: pl.Trainer, module: StyleTransfer, data: Photographs, checkpoint: Path | None, folder: Path, val_every: int
) -> None:
    """Train to the last step and validate there; on Ctrl-C say how to go on, and exit with status 130."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.max_steps % val_every:
            trainer.save_checkpoint(folder / LAST)  # before too: an interrupted validation is done again
            trainer.validate(module, datamodule=data, verbose=False)
            trainer.save_checkpoint(folder / LAST)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if (folder / LAST).exists():
            print("interrupted; the same command with resume=last goes on from the last checkpoint")
        else:
            print(f"interrupted before the first checkpoint, at step {val_every}: start again")
        sys.exit(130)


def finish(module: StyleTransfer, path: Path) -> None:
    """Write the network, and say where it is."""
    module.write_network(path)
    if module.skipped:
        print(f"{module.skipped} times a photograph could not be read and was passed over")
    print(f"the network is {path}")
    print(f"paint with it: python scripts/infer.py {typed('model', path)} input=PHOTO")


def check_settings(config: DictConfig) -> None:
    """Raises UserError for a setting that no run can work with."""
    for name, least in SMALLEST_NUMBERS.items():
        check_whole(config, name, least)
    if config.network.get("hidden") is not None:  # as many as `width` where it is
        check_whole(config, "network.hidden", least=1)
    check_seed(config)
    check_objective(config)
    if config.loss.content_distance is not None:
        check_number(config, "loss.content_distance")
    if config.styles is not None:
        check_names(config, "styles")
    check_number(config, "network.grain")
    check_number(config, "network.painting_grain")
    check_number(config, "optimizer.learning_rate")
    for name in ("decay_share", "average_decay"):
        check_number(config, f"optimizer.{name}", most=1)
    check_number(config, "data.leaves_share", most=1)
    for name in ("csv", "wandb"):
        check_switch(config, f"logger.{name}")
    if config.trainer.precision not in PRECISIONS:
        raise UserError(f"trainer.precision={config.trainer.precision}: take one of {', '.join(PRECISIONS)}")
    if config.trainer.accelerator not in ("cpu", "gpu"):
        raise UserError(f"trainer.accelerator={config.trainer.accelerator}: take cpu or gpu")
    if config.trainer.accelerator == "gpu":
        if not torch.cuda.is_available():
            raise UserError("trainer=gpu and trainer=ddp need a GPU that PyTorch can use: here, take trainer=cpu")
        if config.trainer.devices != -1:
            check_whole(config, "trainer.devices", least=1, most=torch.cuda.device_count())
    else:
        check_whole(config, "trainer.devices", least=1)


def training_objectives(config: DictConfig) -> tuple[Style, dict[str, PerceptualLoss]]:
    """What a run is of, and the objective towards each of its paintings, by name: one, or those of `styles`.

    Raises:
        UserError: a painting and the loss network do not go together, or a painting is named twice.
    """
    if not config.styles:
        style, loss = load_objective(config.loss, config.style)
        return style, {style.name: loss}
    styles, losses = load_several(config.loss, config.styles, config.style.size)
    named = {style.name: loss for style, loss in zip(styles, losses, strict=True)}
    if len(named) < len(styles):
        raise UserError(f"styles={config.styles}: name each painting once")
    return several(styles), named


def several(styles: Sequence[Style]) -> Style:
    """Several paintings under one name, `base`."""
    digest = hashlib.sha256("".join(style.sha256 for style in styles).encode()).hexdigest()
    return Style("base", f"{len(styles)} paintings", "several painters", "", "", digest, {})


def steps(trainer: DictConfig) -> int:
    """Steps of a run, in each of which every device takes a batch: `trainer.max_steps` is how many one alone takes."""
    devices = torch.cuda.device_count() if trainer.devices == -1 else trainer.devices
    return math.ceil(trainer.max_steps / devices)


def precision(config: DictConfig) -> str:
    """The number type of the computation, as Lightning calls it."""
    chosen = config.trainer.precision
    return fastest_precision(config.trainer.accelerator) if chosen == "auto" else chosen
