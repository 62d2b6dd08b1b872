"""One training run from its configuration: a folder, a painting, an objective, a network, a trainer."""

import logging
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from torch import nn

from allaprima import networks, weights
from allaprima.callbacks import ProgressBar, SampleSheet
from allaprima.data.module import Photographs
from allaprima.errors import UserError
from allaprima.images import write_atomically
from allaprima.losses import PerceptualLoss
from allaprima.memory import keep_freed_memory
from allaprima.precision import fastest_precision
from allaprima.style import Style, painting_style, shipped_style
from allaprima.stylizer import load_network
from allaprima.training import StyleTransfer
from allaprima.vgg import VGG, canonical_name

SMALLEST_NUMBERS = {
    "seed": 0,
    "data.size": 32,
    "data.validation_size": 32,
    "data.validation_photos": 1,
    "data.batch_size": 1,
    "data.workers": 0,
    "trainer.max_steps": 1,
    "trainer.val_every": 1,
}


def train(config: DictConfig) -> Path:
    """Train one network for one painting, as `configs/train.yaml` says.

    Returns:
        The network's file.

    Raises:
        UserError: anything in the configuration that cannot be done as it stands.
    """
    check_numbers(config)
    keep_freed_memory()
    quiet_lightning()
    pl.seed_everything(config.seed, verbose=False)
    style, loss = objective(config)
    network, ancestor = start(config)
    metadata = {
        "network": OmegaConf.to_container(config.network),
        "init": ancestor,
        "style": {name: getattr(style, name) for name in ("name", "title", "artist", "year", "source", "sha256")},
        "style_size": config.style.size,
        "loss_network": style.loss_network,
        "loss": OmegaConf.to_container(config.loss),
    }
    module = StyleTransfer(network, loss, metadata, **config.optimizer)
    data = Photographs(seed=config.seed, **config.data)
    checkpoint = find_checkpoint(config, metadata)
    folder = checkpoint.parents[1] if checkpoint else new_folder(Path(config.runs), style.name)
    write_atomically(folder / "config.yaml", OmegaConf.to_yaml(config, resolve=True).encode())
    trainer = make_trainer(config, folder, style)
    print(f"training {style.title} ({style.artist}) in {folder}, computing in {trainer.precision}")
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl-C
        print("interrupted; the same command with resume=last goes on from the last checkpoint")
        raise
    path = folder / "models" / f"{style.name}.safetensors"
    if trainer.is_global_zero:
        module.write_network(path)
        print(f"{data_note(module)}the network is {path}")
        print(f"paint with it: python scripts/infer.py model={path} input=PHOTO")
    return path


def check_numbers(config: DictConfig) -> None:
    """Raises UserError for a number that no run can work with."""
    for name, least in SMALLEST_NUMBERS.items():
        value = OmegaConf.select(config, name)
        if not isinstance(value, int) or value < least:
            raise UserError(f"{name}={value}: give a whole number, {least} or more")
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer=gpu and trainer=ddp need a GPU that PyTorch can use: here, take trainer=cpu")


def quiet_lightning() -> None:
    """Leave of Lightning's notices those that a user of this project can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for notice in ("Found .* module.s. in eval mode", "The '.*dataloader' does not have many workers", ".*treespec"):
        warnings.filterwarnings("ignore", notice)


def start(config: DictConfig) -> tuple[nn.Module, dict[str, Any] | None]:
    """The network before the first step: of random weights, or one that paints already, and what that one was.

    Raises:
        UserError: there is no such network, or it is built otherwise than the configuration says.
    """
    if config.init == "scratch":
        return networks.build(**config.network), None
    network, metadata = load_network(config.init)
    if metadata["network"] != OmegaConf.to_container(config.network):
        raise UserError(f"init={config.init} is {metadata['network']}: set network to the same, or use init=scratch")
    return network, {"style": metadata["style"]["name"], "steps": metadata["steps"], "init": metadata["init"]}


def objective(config: DictConfig) -> tuple[Style, PerceptualLoss]:
    """The painting and the objective towards it. Raises UserError if the two do not go together."""
    loss = config.loss
    source = weights.load(loss.weights, loss.depth)
    style_layers = [canonical_name(layer, loss.depth) for layer in loss.style_layers]
    vgg = VGG(source, [*loss.content_layers, *style_layers])
    if config.style.image:
        style = painting_style(config.style.image, vgg, source.identity, style_layers, [config.style.size])
    else:
        style = shipped_style(config.style.name)
    grams = style.targets(source.identity, style_layers, config.style.size)
    return style, PerceptualLoss(
        vgg, grams, loss.content_layers, loss.objective, loss.content_weight, loss.style_weight, loss.tv_weight
    )


def new_folder(runs: Path, name: str) -> Path:
    """A folder for a run that starts now: NAME/date_time below `runs`."""
    return runs / name / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def find_checkpoint(config: DictConfig, metadata: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from: none, a path, or for `last` the newest of this style.

    Raises:
        UserError: there is none, it cannot be read, it is of another style, objective or network, or it is finished.
    """
    resume, runs = config.resume, Path(config.runs)
    if resume is None:
        return None
    name = metadata["style"]["name"]
    if resume == "last":
        found = sorted((runs / name).glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UserError(f"nothing to resume: {runs / name} holds no run with a checkpoint; leave out resume=last")
        path = found[-1]
    else:
        path = Path(resume)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        theirs = checkpoint["allaprima"]
    except FileNotFoundError as error:
        raise UserError(f"resume={resume}: there is no such file; resume=last takes the newest run's") from error
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise UserError(
            f"resume={resume} is not a checkpoint of this project: take RUN/checkpoints/last.ckpt"
        ) from error
    for key, mine in metadata.items():
        if theirs.get(key) != mine:
            raise UserError(
                f"{path} was trained with {key}={theirs.get(key)}, not {mine}: give the same settings again"
            )
    if checkpoint["global_step"] >= config.trainer.max_steps:
        raise UserError(f"{path} has its {checkpoint['global_step']} steps already: start anew without resume")
    return path


def make_trainer(config: DictConfig, folder: Path, style: Style) -> pl.Trainer:
    """Lightning's trainer with this project's logs, checkpoints and pictures below `folder`."""
    settings = OmegaConf.to_container(config.trainer)
    every = settings.pop("val_every")
    if settings["precision"] == "auto":
        settings["precision"] = fastest_precision(settings["accelerator"])
    checkpoints = ModelCheckpoint(
        folder / "checkpoints",
        "step_{step:06d}",
        auto_insert_metric_name=False,
        every_n_train_steps=every,
        save_last=True,
    )
    return pl.Trainer(
        **settings,
        max_epochs=-1,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        benchmark=settings["accelerator"] == "gpu",
        enable_model_summary=False,
        logger=make_loggers(config, folder, style),
        callbacks=[checkpoints, SampleSheet(folder / "samples"), ProgressBar()],
    )


def make_loggers(config: DictConfig, folder: Path, style: Style) -> list[Logger]:
    """The logs asked for; Weights and Biases stays offline where there is no key."""
    loggers: list[Logger] = []
    if config.logger.csv:
        # A CSV logger empties the folder that it is given, so a resumed run gets one of its own.
        loggers.append(
            CSVLogger(folder, "log", datetime.now().strftime("%Y-%m-%d_%H-%M-%S"), flush_logs_every_n_steps=10)
        )
    if config.logger.wandb:
        import wandb

        offline = not wandb.api.api_key
        loggers.append(
            WandbLogger(folder.name, folder, offline=offline, project=config.logger.project, group=style.name)
        )
    return loggers


def data_note(module: StyleTransfer) -> str:
    """What is to be said of photographs that could not be read."""
    return f"{module.skipped} times a photograph could not be read and was passed over; " if module.skipped else ""
