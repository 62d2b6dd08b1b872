"""The objective on held-out photographs against seconds of training: the baseline and this project's trainer."""

import csv
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.core.saving import load_hparams_from_yaml, save_hparams_to_yaml
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torchvision.utils import save_image

from allaprima.commands.train import fit, train
from allaprima.data.module import PhotoDataModule
from allaprima.data.photos import Batch
from allaprima.errors import UserError
from allaprima.evaluation.figures import encoded, picture_table
from allaprima.hardware import processor_name
from allaprima.losses.objective import load_objective
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically
from allaprima.media.images import read_picture
from allaprima.training.initialization import initial_network
from allaprima.training.runs import LAST
from allaprima.training.terms import load_teacher
from allaprima.training.trainer import quiet_lightning
from benchmarks.baseline import baseline_johnson, baseline_objective
from benchmarks.rounds import in_fresh_process
from benchmarks.settings import BenchmarkSettings

BASELINE_LEARNING_RATE = 1e-3
# Each has a folder of its own, so that one can be measured again beside the other.
FOLDERS = {"baseline": "baseline", "this trainer": "trainer"}
SETTINGS = "settings.yaml"
MINUTES = (1, 3, 10, 30)  # after which, as near as there are any, the sheet shows pictures


class Point(NamedTuple):
    """Where a contender stood: steps and seconds of training, and the objective at each of the sizes."""

    step: int
    seconds: float
    objectives: tuple[float, ...]


def read_curve(folder: Path, sizes: Sequence[int]) -> list[Point]:
    """A contender's points, from the logs in its folder; of a step that was done twice the last."""
    points = {}
    for log in sorted(folder.rglob("metrics.csv")):
        with log.open(newline="") as file:
            for row in csv.DictReader(file):
                if row.get("curve/step"):
                    objectives = tuple(float(row.get(f"curve/{size}") or "nan") for size in sizes)
                    step = int(float(row["curve/step"]))
                    points[step] = Point(step, float(row["curve/seconds"]), objectives)
    return sorted(points.values())


class Evaluator(pl.Callback):
    """Logs at each validation the objective on held-out photographs, and the seconds of training, which leave it out.

    The photographs are the middle of larger ones that the network paints: the objective gains from frames at the
    borders, and what a network does there does not count.

    Args:
        settings: of the benchmark.
        loss: the objective, in float32.
        folder: of the contender, for its pastiches.
        network: of the module, that which is evaluated.
    """

    def __init__(
        self, settings: BenchmarkSettings, loss: PerceptualLoss, folder: Path, network: Callable[[Any], nn.Module]
    ) -> None:
        self.loss = loss
        self.folder = folder
        self.network = network
        self.margin = settings.benchmark.margin
        self.photos = {size: held_out(settings, size) for size in settings.benchmark.sizes}
        self.seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.seconds = state["seconds"]

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Count the seconds of a step with its wait for data."""
        now = time.perf_counter()
        self.seconds += now - self._clock
        self._clock = now

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Evaluate."""
        logged = {"curve/step": float(trainer.global_step), "curve/seconds": self.seconds}
        with trainer.precision_plugin.forward_context():
            for size, photos in self.photos.items():
                objective, pastiches = self.evaluate(self.network(module), photos)
                logged[f"curve/{size}"] = objective
        module.log_dict(logged)
        (self.folder / "pastiches").mkdir(parents=True, exist_ok=True)
        save_image(pastiches, pastiche_file(self.folder, trainer.global_step), nrow=len(pastiches), padding=0)

    def on_validation_end(self, *_: Any) -> None:
        """Leave the evaluation out of the count."""
        self._clock = time.perf_counter()

    @torch.no_grad()
    def evaluate(self, network: nn.Module, photos: Tensor) -> tuple[float, Tensor]:
        """The mean objective, and the pastiches, (N, 3, size, size)."""
        pastiches = [middle(network(photo).float(), self.margin) for photo in photos.split(1)]
        pairs = zip(pastiches, middle(photos, self.margin).split(1), strict=True)
        with torch.autocast("cpu", enabled=False):
            # One by one: several at once need more memory than training does.
            objectives = [self.loss.between(pastiche, photo).total.item() for pastiche, photo in pairs]
        return statistics.mean(objectives), torch.cat(pastiches)


def pastiche_file(folder: Path, step: int) -> Path:
    """The file of a contender's pastiches after a step, side by side."""
    return folder / "pastiches" / f"{step}.png"


def held_out(settings: BenchmarkSettings, size: int) -> Tensor:
    """The validation squares, with their margin, of which `size` pixels a side are judged."""
    side = size + 2 * settings.benchmark.margin
    return PhotoDataModule(replace(settings.data, validation_size=side), settings.seed).validation


def middle(pictures: Tensor, margin: int) -> Tensor:
    """Pictures without `margin` pixels at each of their borders."""
    return F.pad(pictures, [-margin] * 4)


class BaselineTraining(pl.LightningModule):
    """The baseline: float32, Adam at a constant rate, from random weights.

    Args:
        network: what is trained.
        loss: the objective.
    """

    def __init__(self, network: nn.Module, loss: PerceptualLoss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The objective, written out the usual way."""
        photo_features = self.loss.vgg(batch.photos, {*self.loss.content_layers, *self.loss.style_layers})
        return baseline_objective(self.loss, self.network(batch.photos), photo_features)

    def validation_step(self, batch: tuple[Tensor], batch_idx: int) -> None:
        """Nothing: the `Evaluator` does it."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.network.parameters(), BASELINE_LEARNING_RATE)


def train_baseline(settings: BenchmarkSettings) -> None:
    """Train the baseline, or go on with it."""
    quiet_lightning()
    measurement = settings.benchmark
    folder = Path(measurement.output) / FOLDERS["baseline"]
    pl.seed_everything(settings.seed, verbose=False)
    _, loss = load_objective(settings.loss, settings.style)
    module = BaselineTraining(baseline_johnson(settings.network.width, settings.network.blocks), loss)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=measurement.baseline_steps,
        max_epochs=-1,
        val_check_interval=measurement.baseline_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=CSVLogger(folder, "log"),
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[
            Evaluator(settings, loss, folder, lambda module: module.network),
            ModelCheckpoint((folder / LAST).parent, save_last=True, enable_version_counter=False),
        ],
    )
    data = replace(settings.data, size=measurement.size, batch_size=measurement.batch_size)
    last = folder / LAST
    fit(trainer, module, PhotoDataModule(data, settings.seed), last if last.exists() else None)


def train_ours(settings: BenchmarkSettings) -> None:
    """Train as the command does, or go on with it."""
    style, loss = load_objective(settings.loss, settings.style)
    folder = Path(settings.benchmark.output) / FOLDERS["this trainer"]
    begun = list((folder / style.name).glob(f"*/{LAST}"))
    training = settings.model_dump(exclude={"benchmark", "sizes", "contenders"})
    training |= {"runs": str(folder), "resume": "last" if begun else None}
    train(OmegaConf.create(training), [Evaluator(settings, loss, folder, lambda module: module.ema)])


def benchmark_quality(settings: BenchmarkSettings) -> None:
    """Train both, write their plot and a sheet of pictures, print their table; print last `speedup N`.

    That is the baseline's seconds at its last step over this trainer's to an objective as low at the last of the
    sizes, 0 if it never is. The lines before have it for every size, and likewise from the baseline's lowest point,
    since its last may be one of its worse.

    Raises:
        UserError: an invalid setting, or a folder that holds the results of other settings.
    """
    if settings.trainer.accelerator != "cpu":
        raise UserError("the benchmark of quality is of a processor: leave out trainer=")
    sizes = settings.benchmark.sizes
    style, _ = load_objective(settings.loss, settings.style)
    # Both refuse what cannot be before the baseline takes its hour.
    levels = len(settings.loss.content_distances or [None])
    _, init = initial_network(settings.network, [style.name], levels, settings.init)
    if settings.teacher:
        load_teacher(settings.teacher, style)
    folder = Path(settings.benchmark.output) / style.name
    settings = settings.model_copy(update={"benchmark": replace(settings.benchmark, output=str(folder))})
    curves = train_both(settings, style, init)
    baseline, ours = curves.values()
    write_plot(folder / "curves.png", curves, sizes, style.title)
    write_sheet(folder, middle(held_out(settings, sizes[-1]), settings.benchmark.margin), curves)
    print(f"{style.title}: the objective on held-out photographs, in float32, by the pixels of a side")
    print(f"{'':14}{'step':>6}{'seconds':>9}", *(f"{size:>7}" for size in sizes))
    for contender, points in curves.items():
        for step, seconds, objectives in points:
            print(f"{contender:14}{step:6}{seconds:9.0f}", *(f"{objective:7.4f}" for objective in objectives))
    if style.name in trained_paintings(init):
        print("not of a new painting: the network that this trainer began with had been trained on it")
    for place, size in enumerate(sizes):
        lowest = min(baseline, key=lambda point: point.objectives[place])
        last, best = (speedup(goal, ours, place) for goal in (baseline[-1], lowest))
        print(f"speedup at {size} x {size}: {last:.1f}, to the baseline's lowest, at step {lowest.step}: {best:.1f}")
    print(f"speedup {last:.1f}")


def trained_paintings(init: dict[str, Any] | None) -> list[str]:
    """The paintings that the network begun with was trained on, by what `initial_network` gives."""
    return [init["style"], *trained_paintings(init.get("init"))] if init else []


def train_both(settings: BenchmarkSettings, style: Style, init: dict[str, Any] | None) -> dict[str, list[Point]]:
    """The curve of each contender, trained where it is not there yet.

    Raises:
        UserError: a folder holds a result of other settings.
    """
    folder = Path(settings.benchmark.output)
    contenders = {
        "baseline": (train_baseline, settings.benchmark.baseline_steps),
        "this trainer": (train_ours, settings.trainer.steps()),
    }
    wanted = wanted_settings(settings, style, init)
    for contender in contenders:
        check_settings(folder / FOLDERS[contender], wanted)
    curves = {}
    for contender, (train_it, last) in contenders.items():
        place = folder / FOLDERS[contender]
        if any(point.step == last for point in read_curve(place, settings.benchmark.sizes)):
            print(f"{contender}: as measured before, by {place}; delete that to measure again")
        else:
            place.mkdir(parents=True, exist_ok=True)
            save_hparams_to_yaml(place / SETTINGS, wanted)
            in_fresh_process(train_it, settings)
        curves[contender] = read_curve(place, settings.benchmark.sizes)
    return curves


def wanted_settings(settings: BenchmarkSettings, style: Style, init: dict[str, Any] | None) -> dict[str, Any]:
    """What the results depend on, the machine among it."""
    groups = {name: asdict(getattr(settings, name)) for name in ("network", "terms", "loss", "data", "trainer")}
    return groups | {
        "optimizer": asdict(settings.optimizer),
        "benchmark": asdict(settings.benchmark) | {"output": None},
        "painting": {"sha256": style.sha256, "size": settings.style.size},
        "seed": settings.seed,
        "init": {name: init[name] for name in ("style", "steps", "seconds")} if init else None,
        "teacher": settings.teacher,
        "machine": {
            "processor": processor_name(),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
        },
    }


def check_settings(folder: Path, wanted: dict[str, Any]) -> None:
    """Raises UserError where a folder holds a result, or the beginning of one, of other settings."""
    file = folder / SETTINGS
    if file.exists() and load_hparams_from_yaml(file, use_omegaconf=False) != wanted:
        raise UserError(f"{folder} holds results of other settings or another machine: move it away to start again")


def speedup(goal: Point, ours: Sequence[Point], place: int) -> float:
    """Seconds of a point of the baseline over those of our first as low at the size in that place; 0 for none."""
    reached = [point.seconds for point in ours if point.objectives[place] <= goal.objectives[place]]
    return goal.seconds / reached[0] if reached else 0


def write_sheet(folder: Path, photos: Tensor, curves: Mapping[str, Sequence[Point]]) -> None:
    """The photographs, their pastiches after some minutes of this trainer, and those of the baseline's end."""
    baseline, ours = curves.values()
    files = {}
    for minutes in MINUTES:
        point = min(ours, key=lambda point: abs(point.seconds - 60 * minutes))
        files[f"{point.seconds / 60:.2g} min"] = pastiche_file(folder / FOLDERS["this trainer"], point.step)
    end = baseline[-1]
    files[f"baseline, {end.seconds / 60:.0f} min"] = pastiche_file(folder / FOLDERS["baseline"], end.step)
    pictures = {"photograph": photos}
    for name, file in files.items():
        pictures[name] = torch.stack(read_picture(file).image.split(photos.shape[-1], 2))
    rows = [("", {name: images[i, None] for name, images in pictures.items()}) for i in range(len(photos))]
    write_atomically(folder / "sheet.jpg", encoded(picture_table(rows), 110, "jpeg"))


def write_plot(path: Path, curves: Mapping[str, Sequence[Point]], sizes: Sequence[int], title: str) -> None:
    """Both curves over seconds, which are on a logarithmic scale, side by side for each size."""
    figure = Figure(figsize=(5 * len(sizes), 4), layout="constrained")
    for place, axes in enumerate(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]):
        for contender, points in curves.items():
            seconds = [point.seconds for point in points]
            axes.plot(seconds, [point.objectives[place] for point in points], marker=".", label=contender)
        axes.axhline(curves["baseline"][-1].objectives[place], color="grey", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel="seconds of training", title=f"{title}, {sizes[place]} x {sizes[place]}")
    figure.axes[0].set_ylabel("objective on held-out photographs")
    figure.axes[0].legend()
    write_atomically(path, encoded(figure, 120))
