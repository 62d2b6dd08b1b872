"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import hashlib
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

from allaprima.commands.checks import SMALLEST_SIDE, check_names, check_number, check_seed, check_switch, check_whole
from allaprima.commands.objective import check_objective, load_objective, load_several
from allaprima.data.module import Photographs
from allaprima.errors import UserError, typed
from allaprima.hardware import fastest_precision, keep_freed_memory
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically
from allaprima.training.callbacks import ProgressBar, SampleSheet
from allaprima.training.checkpoints import WholeCheckpoints
from allaprima.training.distillation import load_teacher, weights_sha256
from allaprima.training.initialization import initial_network, new_network
from allaprima.training.module import StyleTransfer

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
LAST, NETWORKS = Path("checkpoints", "last.ckpt"), "models"  # in a run's folder
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
    metadata = {
        "network": OmegaConf.to_container(config.network),
        "style": {name: getattr(style, name) for name in ("name", "title", "artist", "year", "source", "sha256")},
        "style_size": config.style.size,
        "styles": list(losses) if config.styles else None,
        "loss_network": next(iter(losses.values())).vgg.identity,
        "loss": OmegaConf.to_container(config.loss, resolve=True),
        "teacher": Path(str(config.teacher)).stem if config.teacher else None,
    }
    settings = {name: OmegaConf.to_container(config[name]) for name in ("data", "optimizer")}
    settings |= {"max_steps": steps(config.trainer), "devices": config.trainer.devices}
    settings |= {"seed": config.seed, "precision": precision(config)}
    teacher = load_teacher(config.teacher, style) if config.teacher else None
    settings["teacher_sha256"] = weights_sha256(teacher) if teacher else None
    data = Photographs(seed=config.seed, **config.data)
    settings["photographs"] = len(data.photos)
    checkpoint = find_checkpoint(config, metadata, settings)
    if checkpoint:
        network, start = new_network(config), "where it stopped"
    else:
        network, ancestor = initial_network(config, style)
        metadata["init"], start = ancestor, "random weights"
        if ancestor:
            start = f"{'a part of ' if ancestor['pruned'] else ''}the network of {ancestor['style']}"
    distance = config.loss.content_distance
    module = StyleTransfer(network, losses, metadata, settings, distance, **config.optimizer, teacher=teacher)
    folder = checkpoint.parents[1] if checkpoint else new_folder(Path(str(config.runs)), style.name)
    if not checkpoint:
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True).encode())
    trainer = make_trainer(config, folder, style, callbacks)
    print(f"training {style.title} ({style.artist}) from {start} in {folder}, computing in {trainer.precision}")
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.max_steps % config.trainer.val_every:
            trainer.save_checkpoint(folder / LAST)  # before too: an interrupted validation is done again
            trainer.validate(module, datamodule=data, verbose=False)
            trainer.save_checkpoint(folder / LAST)
    except SystemExit:  # Lightning's answer to Ctrl-C
        if (folder / LAST).exists():
            print("interrupted; the same command with resume=last goes on from the last checkpoint")
        else:
            print(f"interrupted before the first checkpoint, at step {config.trainer.val_every}: start anew")
        sys.exit(130)
    path = folder / NETWORKS / f"{style.name}.safetensors"
    if trainer.is_global_zero:
        module.write_network(path)
        if module.skipped:
            print(f"{module.skipped} times a photograph could not be read and was passed over")
        print(f"the network is {path}")
        print(f"paint with it: python scripts/infer.py {typed('model', path)} input=PHOTO")
    return path


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


def quiet_lightning() -> None:
    """Leave of Lightning's notices those that a user of this project can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    notices = (
        "Found .* module.s. in eval mode",
        "The '.*dataloader' does not have many workers",
        "The number of training batches",
        "Consider setting `persistent_workers=True`",
        "You're resuming from a checkpoint that ended before the epoch ended",
        ".*treespec",
        "Checkpoint directory .* exists and is not empty",
    )
    for notice in notices:
        warnings.filterwarnings("ignore", notice)


def new_folder(runs: Path, name: str) -> Path:
    """Make a folder for a run that starts now: NAME/date_time below `runs`, the same for all its processes."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        if "ALLAPRIMA_STARTED" not in os.environ:
            raise UserError("trainer=ddp starts its processes itself: call scripts/train.py without torchrun")
        return runs / name / os.environ["ALLAPRIMA_STARTED"]
    while True:
        os.environ["ALLAPRIMA_STARTED"] = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        folder = runs / name / os.environ["ALLAPRIMA_STARTED"]
        try:
            folder.mkdir(parents=True)
        except FileExistsError:  # of a run that started in the same second
            time.sleep(0.1)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}") from error
        else:
            return folder


def find_checkpoint(config: DictConfig, metadata: dict[str, Any], settings: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from: none, a path, or for `last` the newest of this style.

    Raises:
        UserError: there is none, it cannot be read, it is of a run with other settings, or it is finished.
    """
    resume, runs = config.resume, Path(str(config.runs))
    if resume is None:
        return None
    if resume == "last":
        folder = runs / metadata["style"]["name"]
        found = sorted(folder.glob(f"*/{LAST}"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UserError(f"nothing to resume: {folder} holds no run with a checkpoint; leave out resume=last")
        path = found[-1]
    else:
        path = Path(str(resume)).resolve()
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        theirs = comparable(checkpoint["allaprima"] | checkpoint["settings"])
    except FileNotFoundError as error:
        raise UserError(f"resume={resume}: there is no such file; resume=last takes the newest run's") from error
    except PermissionError as error:
        raise UserError(f"resume={resume}: no permission to read {path}") from error
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise UserError(f"resume={resume} is no checkpoint of this project: take RUN/{LAST}") from error
    if path.parent.name != LAST.parent.name:
        raise UserError(f"resume={resume} is not in a run's folder: put it back into RUN/{LAST.parent}")
    painting = checkpoint["allaprima"]["style"]
    if painting["sha256"] != metadata["style"]["sha256"]:
        raise UserError(f"{path} is of {painting['title']}, not {metadata['style']['title']}: give the same style=")
    for key, mine in comparable(metadata | settings).items():
        if theirs.get(key) != mine:
            raise UserError(f"{path} was trained with {key}={theirs.get(key)}, not {mine}: give the same to resume")
    if checkpoint["global_step"] >= settings["max_steps"] and (path.parents[1] / NETWORKS).exists():
        network = path.parents[1] / NETWORKS / f"{painting['name']}.safetensors"
        raise UserError(
            f"{path} has its {checkpoint['global_step']} steps already: {typed('init', network)} begins where it ended"
        )
    return path


def comparable(facts: dict[str, Any]) -> dict[str, Any]:
    """What a run and its resumption must have in common, by name: a painting by its picture, data but for processes."""
    named = {}
    for key, value in (facts | {"style": facts["style"]["sha256"]}).items():
        named |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    return {name: value for name, value in named.items() if name != "data.workers"}


def precision(config: DictConfig) -> str:
    """The number type of the computation, as Lightning calls it."""
    chosen = config.trainer.precision
    return fastest_precision(config.trainer.accelerator) if chosen == "auto" else chosen


def make_trainer(config: DictConfig, folder: Path, style: Style, callbacks: Sequence[Callback]) -> pl.Trainer:
    """Lightning's trainer with this project's logs, checkpoints and pictures below `folder`."""
    settings = OmegaConf.to_container(config.trainer) | {"max_steps": steps(config.trainer)}
    every = settings.pop("val_every")
    settings["precision"] = precision(config)
    # Saved after each validation, so that one that was interrupted is done again.
    checkpoints = ModelCheckpoint(
        folder / "checkpoints",
        "step_{step:06d}",
        auto_insert_metric_name=False,
        every_n_epochs=1,
        save_on_train_epoch_end=False,
        save_last=True,
        enable_version_counter=False,
    )
    return pl.Trainer(
        **settings,
        max_epochs=-1,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        benchmark=settings["accelerator"] == "gpu",
        plugins=WholeCheckpoints(),
        enable_model_summary=False,
        use_distributed_sampler=False,
        logger=make_loggers(config, folder, style),
        callbacks=[*callbacks, checkpoints, SampleSheet(folder / "samples"), ProgressBar()],
    )


def make_loggers(config: DictConfig, folder: Path, style: Style) -> list[Logger]:
    """The logs asked for; Weights and Biases stays offline where there is no key."""
    loggers: list[Logger] = []
    if config.logger.csv:
        # A CSV logger empties the folder that it is given, so a resumed run gets one of its own.
        loggers.append(CSVLogger(folder, "log", datetime.now().strftime("%Y-%m-%d_%H-%M-%S")))
    if config.logger.wandb:
        import wandb

        try:
            mode = "online" if wandb.login(prompt=False) else "offline"
        except wandb.errors.Error as error:
            raise UserError(f"Weights and Biases refused: {error}; WANDB_MODE=offline does without it") from error
        loggers.append(WandbLogger(folder.name, folder, mode=mode, project=config.logger.project, group=style.name))
    return loggers
