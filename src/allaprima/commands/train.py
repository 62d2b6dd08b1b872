"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import contextlib
import dataclasses
import hashlib
import math
import multiprocessing
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, model_validator
from pytorch_lightning.callbacks import Callback

from allaprima.commands.groups import (
    DataSettings,
    LoggerSettings,
    LossSettings,
    NetworkSettings,
    OptimizerSettings,
    StyleSettings,
    TrainerSettings,
)
from allaprima.commands.objective import load_objective, load_several
from allaprima.commands.settings import Number, Seed, Settings, Text, Texts, unique
from allaprima.data.module import PhotoDataModule
from allaprima.errors import UserError, typed
from allaprima.hardware import fastest_precision, keep_freed_memory
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.files import on_the_web, without_secrets, write_atomically
from allaprima.networks.metadata import Metadata
from allaprima.training.distillation import load_teacher, weights_sha256
from allaprima.training.initialization import initial_network, new_network
from allaprima.training.module import Optimizer, StyleTransfer, Teacher
from allaprima.training.runs import LAST, NETWORKS, find_checkpoint, new_folder
from allaprima.training.trainer import make_loggers, make_trainer, quiet_lightning


class TrainSettings(Settings):
    """`configs/train.yaml`."""

    style: StyleSettings
    network: NetworkSettings
    loss: LossSettings
    data: DataSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    optimizer: OptimizerSettings
    seed: Seed
    styles: Annotated[Texts, AfterValidator(unique)] | None
    init: Text
    teacher: Text | None
    teacher_weight: Number | None
    grid_weight: Number
    stability_weight: Number
    resume: Text | None
    runs: Text

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Refuses settings that would be ignored beside others."""
        if self.styles and (self.teacher or self.style.image):
            raise ValueError(
                "styles= names bundled paintings, which have no teacher: leave out teacher= and style.image="
            )
        if self.teacher_weight is not None and not self.teacher:
            raise ValueError(f"teacher_weight={self.teacher_weight:g} needs a network to learn from: give teacher=")
        if self.teacher and self.teacher_weight is None and self.stability_weight:
            raise ValueError(
                "teacher= alone takes the place of the other terms: give teacher_weight= or leave out stability_weight="
            )
        return self


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
    settings = TrainSettings.read(config)
    check_devices(settings.trainer)
    keep_freed_memory()
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    style, losses = training_objectives(settings)
    teacher = teacher_of(settings, style, losses) if settings.teacher else None
    data = PhotoDataModule(seed=settings.seed, **settings.data.asdict())
    metadata, shared = described(settings, style, losses), comparable_settings(settings, teacher, data)
    runs = Path(settings.runs)
    checkpoint = find_checkpoint(settings.resume, runs, metadata, shared)
    if checkpoint:
        folder, start = checkpoint.parents[1], "where it stopped"
        network = new_network(settings.network.asdict(), settings.styles)
    else:
        network, ancestor = initial_network(settings.network.asdict(), settings.styles, settings.init, style.name)
        metadata, start = dataclasses.replace(metadata, init=ancestor), beginning(ancestor)
        folder = new_folder(runs, style.name)
        write_atomically(folder / "config.yaml", settings_file(config).encode())
    distance, optimizer = settings.loss.content_distance, Optimizer(**settings.optimizer.asdict())
    weights = {"grid_weight": settings.grid_weight, "stability_weight": settings.stability_weight}
    module = StyleTransfer(network, losses, metadata, shared, distance, optimizer, teacher, **weights)
    loggers = make_loggers(**settings.logger.asdict(), folder=folder, style=style.name)
    own = {"max_steps": shared["max_steps"], "precision": shared["precision"]}
    trainer = make_trainer(settings.trainer.asdict() | own, folder, loggers, callbacks)
    print(f"training {style} from {start} in {folder}, computing in {trainer.precision}")
    fit(trainer, module, data, checkpoint, folder, settings.trainer.val_every)
    path = folder / NETWORKS / f"{style.name}.safetensors"
    if trainer.is_global_zero:
        finish(module, path)
    return path


def settings_file(config: DictConfig) -> str:
    """The settings as a run keeps them, in YAML."""
    kept = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    if kept.style.image and on_the_web(kept.style.image):
        kept.style.image = without_secrets(kept.style.image)
    return OmegaConf.to_yaml(kept)


def described(settings: TrainSettings, style: Style, losses: Mapping[str, PerceptualLoss]) -> Metadata:
    """What a checkpoint and the network's file say of themselves."""
    return Metadata(
        network=settings.network.asdict(),
        style=style.painting,
        style_size=settings.style.size,
        styles=list(losses) if settings.styles else None,
        loss_network=next(iter(losses.values())).vgg.identity,
        loss=settings.loss.asdict(),
        teacher=Path(settings.teacher).stem if settings.teacher else None,
    )


def teacher_of(settings: TrainSettings, style: Style, losses: Mapping[str, PerceptualLoss]) -> Teacher:
    """The network to learn from; the objective begins with the content weight that its training was led to.

    Raises:
        UserError: there is no such network, or it paints another painting.
    """
    network, metadata = load_teacher(settings.teacher, style)
    loss = losses[style.name]
    loss.content_weight = metadata.content_weights.get(metadata.style.name, loss.content_weight)
    return Teacher(network, settings.teacher_weight)


def comparable_settings(settings: TrainSettings, teacher: Teacher | None, data: PhotoDataModule) -> dict[str, Any]:
    """What else a run must have in common with the one that it resumes."""
    return {
        "data": settings.data.asdict(),
        "optimizer": settings.optimizer.asdict(),
        "max_steps": steps(settings.trainer),
        "devices": settings.trainer.devices,
        "seed": settings.seed,
        "precision": precision(settings.trainer),
        "teacher_sha256": weights_sha256(teacher.network) if teacher else None,
        "teacher_weight": settings.teacher_weight,
        "grid_weight": settings.grid_weight,
        "stability_weight": settings.stability_weight,
        "photographs": len(data.photos),
    }


def beginning(ancestor: dict[str, Any] | None) -> str:
    """What a run begins with, in words."""
    if ancestor is None:
        return "random weights"
    return f"{'a part of ' if ancestor['pruned'] else ''}the network of {ancestor['style']}"


def fit(
    trainer: pl.Trainer,
    module: StyleTransfer,
    data: PhotoDataModule,
    checkpoint: Path | None,
    folder: Path,
    val_every: int,
) -> None:
    """Train to the last step and validate there; on Ctrl-C say how to go on, and exit with status 130."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.max_steps % val_every:
            trainer.save_checkpoint(folder / LAST)  # before too: an interrupted validation is done again
            trainer.validate(module, datamodule=data, verbose=False)
            trainer.save_checkpoint(folder / LAST)
    except (Exception, SystemExit) as error:  # which is Lightning's answer to Ctrl-C
        kill_workers()
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader"):
            told = str(error).splitlines()[0]
            raise UserError(f"photographs do not come: {told}; data.workers=0 does without processes") from error
        if not isinstance(error, SystemExit):
            raise
        if (folder / LAST).exists():
            print("interrupted; the same command with resume=last goes on from the last checkpoint")
        else:
            print(f"interrupted before the first checkpoint, at step {val_every}: start again")
        sys.exit(130)


def kill_workers() -> None:
    """End the processes that prepare photographs, for which the end of this one would wait.

    They leave SIGTERM to this process, see `ignore_signals`, and are not told to end where Ctrl-C came as they were.
    """
    with contextlib.suppress(ValueError):  # outside the main thread, where no signal is answered
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # to which PyTorch's answer is an error
    for worker in multiprocessing.active_children():
        worker.kill()


def finish(module: StyleTransfer, path: Path) -> None:
    """Write the network, and say where it is."""
    module.write_network(path)
    if module.skipped:
        print(f"{module.skipped} times a photograph could not be read and was passed over")
    print(f"the network is {path}")
    print(f"paint with it: python scripts/infer.py {typed('model', path)} input=PHOTO")


def check_devices(trainer: TrainerSettings) -> None:
    """Raises UserError for devices that are not here."""
    if trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer=gpu and trainer=ddp need a GPU that PyTorch can use: here, take trainer=cpu")
    most = torch.cuda.device_count() if trainer.accelerator == "gpu" else math.inf
    if (trainer.devices != -1 and not 1 <= trainer.devices <= most) or (trainer.devices == -1 and most == math.inf):
        raise UserError(f"trainer.devices={trainer.devices}: give a number of devices that are here")


def training_objectives(settings: TrainSettings) -> tuple[Style, dict[str, PerceptualLoss]]:
    """What a run is of, and the objective towards each of its paintings, by name: one, or those of `styles`.

    Raises:
        UserError: a painting and the loss network do not go together.
    """
    if not settings.styles:
        style, loss = load_objective(settings.loss, settings.style)
        return style, {style.name: loss}
    styles, losses = load_several(settings.loss, settings.styles, settings.style.size)
    return several(styles), {style.name: loss for style, loss in zip(styles, losses, strict=True)}


def several(styles: Sequence[Style]) -> Style:
    """Several paintings under one name, `base`."""
    digest = hashlib.sha256("".join(style.sha256 for style in styles).encode()).hexdigest()
    title = f"{len(styles)} paintings"
    return Style(name="base", title=title, artist="several painters", year="", source="", sha256=digest, grams={})


def steps(trainer: TrainerSettings) -> int:
    """Steps of a run, in each of which every device takes a batch: `trainer.max_steps` is how many one alone takes."""
    devices = torch.cuda.device_count() if trainer.devices == -1 else trainer.devices
    return math.ceil(trainer.max_steps / devices)


def precision(trainer: TrainerSettings) -> str:
    """The number type of the computation, as Lightning calls it."""
    return fastest_precision(trainer.accelerator) if trainer.precision == "auto" else trainer.precision
