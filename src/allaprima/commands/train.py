"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import contextlib
import dataclasses
import hashlib
import multiprocessing
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pydantic import AfterValidator, model_validator
from pytorch_lightning.callbacks import Callback
from torch import nn

from allaprima.commands.settings import Settings
from allaprima.data.module import DataSettings, PhotoDataModule
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.limits import Seed, Text, Texts, unique
from allaprima.losses.objective import LossSettings, StyleSettings, build_objective, load_objective, load_vgg
from allaprima.losses.style import Style, bundled_style
from allaprima.media.download import on_the_web, without_secrets
from allaprima.media.files import write_atomically
from allaprima.networks.metadata import Metadata
from allaprima.networks.settings import NetworkSettings
from allaprima.training.initialization import initial_network
from allaprima.training.module import StyleTransfer
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


def train(config: DictConfig, callbacks: Sequence[Callback] = ()) -> Path:
    """Train one network for one painting, as `configs/train.yaml` says; the network's file.

    Lightning's `callbacks` are beside those of every run. Raises UserError for anything that cannot be done.
    """
    settings = TrainSettings.read(config)
    settings.trainer.check_devices()
    keep_freed_memory()
    quiet_lightning()
    pl.seed_everything(settings.seed, verbose=False)
    style, objective = load_training_objective(settings)
    teacher = None
    if settings.teacher:
        teacher, theirs = load_teacher(settings.teacher, style)
        loss = objective.losses[style.name]  # which takes the content weight that the teacher's training ended with
        loss.content_weight = theirs.content_weights.get(theirs.style.name, loss.content_weight)
    data = PhotoDataModule(settings.data, settings.seed)
    record = RunRecord(new_metadata(settings, style, objective), resumed_settings(settings, teacher, data))
    checkpoint = find_checkpoint(settings.resume, Path(settings.runs), record.metadata, record.settings)
    if checkpoint:
        folder = checkpoint.parents[1]
        network, _ = initial_network(settings.network, settings.styles, "scratch", style.name)
        start = "where it stopped"
    else:
        network, init = initial_network(settings.network, settings.styles, settings.init, style.name)
        record.metadata = dataclasses.replace(record.metadata, init=init)
        start = f"{'a part of ' if init['pruned'] else ''}the network of {init['style']}" if init else "random weights"
        folder = new_folder(Path(settings.runs), style.name)
        write_atomically(folder / "config.yaml", settings_file(config).encode())
    terms = build_terms(settings.terms, objective, teacher)
    module = StyleTransfer(network, objective, terms, settings.optimizer, settings.seed)
    loggers = make_loggers(settings.logger, folder, style.name)
    trainer = make_trainer(settings.trainer, folder, loggers, [record, *callbacks])
    print(f"training {style} from {start} in {folder}, computing in {trainer.precision}")
    fit(trainer, module, data, checkpoint)
    path = folder / NETWORK_FOLDER / f"{style.name}.safetensors"
    if trainer.is_global_zero:
        record.write_network(path, module)
        if record.skipped:
            print(f"{record.skipped} times a photograph could not be read and was passed over")
        print(f"the network is {path}")
        print(f"paint with it: allaprima infer {shlex.quote(f'model={path}')} input=PHOTO")
    return path


def load_training_objective(settings: TrainSettings) -> tuple[Style, Objective]:
    """The painting, or several under the name `base`, and the objective. UserError if they do not go together."""
    if settings.styles:
        styles = [bundled_style(name) for name in settings.styles]
        vgg = load_vgg(settings.loss)
        losses = {each.name: build_objective(settings.loss, vgg, each, settings.style.size) for each in styles}
        digest = hashlib.sha256("".join(each.sha256 for each in styles).encode()).hexdigest()
        described = {"title": f"{len(styles)} paintings", "artist": "several painters", "year": "", "source": ""}
        style = Style(name="base", sha256=digest, grams={}, **described)
    else:
        style, loss = load_objective(settings.loss, settings.style)
        losses = {style.name: loss}
    # The training of a teacher has found the content weight.
    content_distance = None if settings.teacher else settings.loss.content_distance
    return style, Objective(losses, content_distance)


def new_metadata(settings: TrainSettings, style: Style, objective: Objective) -> Metadata:
    """What a checkpoint and the network's file say of themselves."""
    return Metadata(
        network=settings.network,
        style=style.painting,
        style_size=settings.style.size,
        styles=settings.styles,
        loss_network=next(iter(objective.losses.values())).vgg.identity,
        loss=dataclasses.asdict(settings.loss),
        teacher=Path(settings.teacher).stem if settings.teacher else None,
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
    kept = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    if kept.style.image and on_the_web(kept.style.image):
        kept.style.image = without_secrets(kept.style.image)
    return OmegaConf.to_yaml(kept)


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
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader"):
            reason = str(error).splitlines()[0]
            raise UserError(f"photographs do not come: {reason}; data.workers=0 does without processes") from error
        if not isinstance(error, SystemExit):
            raise
        if last.exists():
            print("interrupted; the same command with resume=last goes on from the last checkpoint")
        else:
            print(f"interrupted before the first checkpoint, at step {trainer.val_check_interval}: start again")
        sys.exit(130)
