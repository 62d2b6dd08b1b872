"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import contextlib
import dataclasses
import multiprocessing
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pytorch_lightning as pl
import yaml
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, model_validator
from pytorch_lightning.callbacks import Callback
from torch import nn

from allaprima.commands.settings import Settings
from allaprima.data.module import DataSettings, PhotoDataModule, passing_failure
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.limits import Seed, Text, Texts, unique
from allaprima.losses.objective import LossSettings, StyleSettings, build_objective, load_objective, load_vgg
from allaprima.losses.style import Style, bundled_style, picture_name, printable
from allaprima.media.download import on_the_web, without_secrets
from allaprima.media.files import LONGEST_NAME, write_atomically
from allaprima.media.painting import check_file_name
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.metadata import Metadata
from allaprima.networks.settings import NetworkSettings
from allaprima.training.initialization import initial_network
from allaprima.training.module import StyleTransfer
from allaprima.training.processes import prepare_processes
from allaprima.training.record import RunRecord
from allaprima.training.runs import LAST, NETWORK_FOLDER, find_checkpoint, new_folder
from allaprima.training.schedule import OptimizerSettings
from allaprima.training.terms import Objective, TermSettings, build_terms, load_teacher, weights_sha256
from allaprima.training.trainer import LoggerSettings, TrainerSettings, make_loggers, make_trainer, quiet_lightning


class TrainSettings(Settings):
    """`configs/train.yaml`."""

    style: StyleSettings
    network: NetworkSettings
    loss: LossSettings
    data: DataSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    optimizer: OptimizerSettings
    terms: TermSettings
    seed: Seed
    styles: Annotated[Texts, AfterValidator(unique)] | None
    init: Text
    teacher: Text | None
    resume: Text | None
    runs: Text

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Refuses settings that would be ignored beside others."""
        if self.styles and (self.teacher or self.style.image):
            raise ValueError("styles= names bundled paintings without a teacher: leave out teacher= and style.image=")
        distillation = self.terms.distillation
        if distillation is not None and not self.teacher:
            raise ValueError(f"terms.distillation={distillation:g} needs a network to imitate: give teacher=")
        if self.teacher and distillation is None and self.terms.stability:
            raise ValueError("teacher= replaces the other terms: give terms.distillation=, or no terms.stability=")
        return self

    @model_validator(mode="after")
    def check_names(self) -> Self:
        """Refuses, before training, names with which nobody could read or write the network's file."""
        if self.style.image:
            name = picture_name(self.style.image)
            try:
                check_file_name(name)
            except ValueError:
                raise ValueError(f"style.image={self.style.image}: rename it, as painting.jpg") from None
            if len(os.fsencode(f"{name}.safetensors")) > LONGEST_NAME:
                raise ValueError(f"style.image={self.style.image}: give it a shorter name, as its network's is longer")
        weights = self.loss.weights
        if printable(weights) != weights:
            shown = printable(weights)
            raise ValueError(f"loss.weights={shown} has other spaces than a keyboard's, or ${{: rename what has")
        return self


def train(config: DictConfig, callbacks: Sequence[Callback] = ()) -> Path:
    """Train one network for one painting, as `configs/train.yaml` says; the network's file.

    Lightning's `callbacks` are beside those of every run. Raises UserError for anything that cannot be done.
    """
    settings = TrainSettings.read(config)
    settings.trainer.check_devices()
    prepare_processes(settings.trainer.strategy)
    keep_freed_memory()
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    styles, objective, teacher = load_training_objective(settings)
    data = PhotoDataModule(settings.data, settings.seed)
    record = RunRecord(new_metadata(settings, styles, objective), resumed_settings(settings, teacher, data))
    checkpoint = find_checkpoint(settings.resume, Path(settings.runs), record.metadata, record.settings)
    name = record.metadata.name
    table = record.metadata.names, len(next(iter(objective.content_weights.values())))
    if checkpoint:
        folder = checkpoint.parents[1]
        network, _ = initial_network(settings.network, *table, "scratch")
        start = "where it stopped"
    else:
        network, init = initial_network(settings.network, *table, settings.init)
        record.metadata = dataclasses.replace(record.metadata, init=init)
        start = f"{'a part of ' if init['pruned'] else ''}the network of {init['style']}" if init else "random weights"
        folder = new_folder(Path(settings.runs), name)
        write_atomically(folder / "config.yaml", settings_file(config).encode())
    terms = build_terms(settings.terms, objective, teacher)
    module = StyleTransfer(network, objective, terms, settings.optimizer, settings.seed)
    loggers = make_loggers(settings.logger, folder, name)
    trainer = make_trainer(settings.trainer, folder, loggers, [record, *callbacks])
    print(f"training {record.metadata.title} from {start} in {folder}, computing in {trainer.precision}")
    fit(trainer, module, data, checkpoint)
    path = folder / NETWORK_FOLDER / f"{name}.safetensors"
    if trainer.is_global_zero:
        record.write_network(path, module)
        if record.skipped:
            print(f"{record.skipped} times a photograph could not be read and was passed over")
        print(f"the network is {path}")
        print(f"paint with it: allaprima infer {shlex.quote(f'model={path}')} input=PHOTO")
    return path


def load_training_objective(
    settings: TrainSettings,
) -> tuple[list[Style], Objective, TransformationNetwork | None]:
    """The paintings, the objective, and the teacher if there is one. Raises UserError if they do not go together."""
    if settings.styles:
        styles = [bundled_style(name) for name in settings.styles]
        vgg = load_vgg(settings.loss)
        losses = {each.name: build_objective(settings.loss, vgg, each, settings.style.size) for each in styles}
    else:
        style, loss = load_objective(settings.loss, settings.style)
        styles, losses = [style], {style.name: loss}
    if not settings.teacher:
        distances = settings.loss.content_distances
        return styles, Objective(losses, len(distances or [None]), distances), None
    teacher, metadata = load_teacher(settings.teacher, styles[0])
    objective = Objective(losses, teacher.levels)
    for weights in metadata.content_weights.values():  # which its training has found
        objective.content_weights[styles[0].name] = weights
    return styles, objective, teacher


def new_metadata(settings: TrainSettings, styles: Sequence[Style], objective: Objective) -> Metadata:
    """What a checkpoint and the network's file say of themselves."""
    return Metadata(
        network=settings.network,
        paintings=[style.painting for style in styles],
        style_size=settings.style.size,
        loss_network=next(iter(objective.losses.values())).vgg.identity,
        loss=dataclasses.asdict(settings.loss),
        teacher=printable(Path(settings.teacher).stem) if settings.teacher else None,
    )


def resumed_settings(settings: TrainSettings, teacher: nn.Module | None, data: PhotoDataModule) -> dict[str, Any]:
    """What else a run must have in common with the one that it resumes."""
    return {
        "data": dataclasses.asdict(settings.data),
        "optimizer": dataclasses.asdict(settings.optimizer),
        "max_steps": settings.trainer.steps(),
        "devices": settings.trainer.devices,
        "seed": settings.seed,
        "precision": settings.trainer.chosen_precision(),
        "teacher_sha256": weights_sha256(teacher) if teacher else None,
        "terms": dataclasses.asdict(settings.terms),
        "photographs": len(data.photos),
    }


def settings_file(config: DictConfig) -> str:
    """The settings as a run keeps them, in YAML."""
    kept = OmegaConf.to_container(config, resolve=True)
    image = kept["style"]["image"]
    if image and on_the_web(image):
        kept["style"]["image"] = without_secrets(image)
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def fit(trainer: pl.Trainer, module: pl.LightningModule, data: PhotoDataModule, checkpoint: Path | None) -> None:
    """Train to the last step and validate there; on Ctrl-C say how to go on, and exit with status 130."""
    last = Path(trainer.checkpoint_callback.dirpath, LAST.name)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.max_steps % trainer.val_check_interval:
            trainer.save_checkpoint(last)  # before too: an interrupted validation is done again
            trainer.validate(module, datamodule=data, verbose=False)
            trainer.save_checkpoint(last)
    except (Exception, SystemExit) as error:  # which is Lightning's answer to Ctrl-C
        # Processes that prepare photographs leave SIGTERM to this one, see `ignore_signals`, and are not told to end
        # where Ctrl-C came as they were: the end of this process would wait for them.
        with contextlib.suppress(ValueError):  # outside the main thread, where no signal is answered
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # to which PyTorch's answer is an error
        for worker in multiprocessing.active_children():
            worker.kill()
        if reason := passing_failure(error):
            advice = "data.workers=0 does without processes, docker run --shm-size=1g has room for them"
            raise UserError(f"photographs do not come: {reason}; {advice}") from error
        if not isinstance(error, SystemExit):
            raise
        if last.exists():
            print("interrupted; the same command with resume=last goes on from the last checkpoint")
        else:
            print(f"interrupted before the first checkpoint, at step {trainer.val_check_interval}: start again")
        sys.exit(130)
