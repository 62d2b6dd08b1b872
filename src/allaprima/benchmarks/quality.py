"""The objective on held-out photographs against seconds of training: the plain loop and this project's trainer."""

import csv
import io
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from tqdm import tqdm

from allaprima.benchmarks.plain import plain_johnson, plain_step
from allaprima.benchmarks.turns import apart
from allaprima.data.module import Photographs
from allaprima.errors import UserError
from allaprima.figures import encoded, picture_table
from allaprima.images import write_atomically
from allaprima.losses import PerceptualLoss
from allaprima.objective import load_objective
from allaprima.settings import SMALLEST_SIDE, check_whole
from allaprima.start import initial_network
from allaprima.style import Style
from allaprima.training import StyleTransfer
from allaprima.training_run import check_settings, train

PLAIN_LEARNING_RATE = 1e-3
# Each has a folder of its own, so that one can be measured anew beside the other.
PLAIN, OURS = "plain loop", "this trainer"
FOLDERS = {PLAIN: "plain", OURS: "trainer"}
MINUTES = (1, 3, 10, 30)  # after which the sheet shows pictures


class Point(NamedTuple):
    """Where a contender stood after so many steps and seconds of training: the objective, computed in float32."""

    step: int
    seconds: float
    objective: float


class Curve:
    """A contender's points, kept in a CSV file whenever one is added, and the pastiches of each.

    Args:
        folder: of the contender.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.state = folder / "curve.csv", folder / "state"
        self.points: list[Point] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.points = [
                    Point(int(row["step"]), float(row["seconds"]), float(row["objective"]))
                    for row in csv.DictReader(file)
                ]

    def add(self, point: Point, pastiches: Tensor) -> None:
        """Add a point, or put it in the place of one that an interrupted run left there, and write the file."""
        keep(self.pictures(point), {"pastiches": pastiches})
        self.points = sorted([other for other in self.points if other.step != point.step] + [point])
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Point._fields)
        writer.writerows([step, f"{seconds:.2f}", f"{objective:.5f}"] for step, seconds, objective in self.points)
        write_atomically(self.path, text.getvalue().encode())

    def pictures(self, point: Point) -> Path:
        """The file of a point's pastiches."""
        return self.state / "pastiches" / f"{point.step}.pt"


def keep(path: Path, state: dict[str, Any]) -> None:
    """Write a state as PyTorch does, whole or not at all."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(path, content.getvalue())


class Referee(pl.Callback):
    """Adds a point to the curve of this trainer at each of its validations, which its clock leaves out."""

    def __init__(self, curve: Curve, loss: PerceptualLoss, photos: Tensor) -> None:
        self.curve, self.loss, self.photos = curve, loss, photos

    def on_validation_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Measure."""
        with trainer.precision_plugin.forward_context():
            pastiches = painted(module.averaged, self.photos.contiguous(memory_format=torch.channels_last))
        measured = objective(self.loss, self.photos, pastiches)
        self.curve.add(Point(trainer.global_step, module.seconds, measured), pastiches)


def painted(network: nn.Module, photos: Tensor) -> Tensor:
    """Pastiches of (B, 3, H, W) photographs, one after the other to need no more memory than training does."""
    with torch.inference_mode():
        return torch.cat([network(photo) for photo in photos.split(1)]).float()


@torch.no_grad()
def objective(loss: PerceptualLoss, photos: Tensor, pastiches: Tensor) -> float:
    """The mean objective of pastiches, both (B, 3, H, W) in [0, 1], in the number type of `loss`."""
    with torch.autocast("cpu", enabled=False):
        totals = [
            loss(pastiche, loss.content_features(photo)).total
            for photo, pastiche in zip(photos.split(1), pastiches.split(1), strict=True)
        ]
    return torch.stack(totals).mean().item()


def plain_curve(config: DictConfig) -> None:
    """Train with the plain loop, or go on with it: float32, Adam at a constant rate, from random weights."""
    _, loss = load_objective(config.loss, config.style)
    benchmark = config.benchmark
    curve = Curve(Path(benchmark.output) / FOLDERS[PLAIN])
    state = curve.state / "last.ckpt"
    pl.seed_everything(config.seed, verbose=False)
    network = plain_johnson(config.network.width, config.network.blocks)
    optimizer = torch.optim.Adam(network.parameters(), PLAIN_LEARNING_RATE)
    step, seconds = 0, 0.0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        step, seconds = kept["step"], kept["seconds"]
    data = Photographs(seed=config.seed, **{**config.data, "size": benchmark.size})
    loader = iter(data.batches(step, benchmark.plain_steps))
    with tqdm(total=benchmark.plain_steps, initial=step, desc=PLAIN, unit="step") as progress:
        while step < benchmark.plain_steps:
            started = time.perf_counter()
            photos, _ = next(loader)
            plain_step(network, loss, optimizer, photos)
            seconds += time.perf_counter() - started
            step += 1
            progress.update()
            if step % benchmark.plain_every == 0 or step == benchmark.plain_steps:
                pastiches = painted(network, data.validation)
                curve.add(Point(step, seconds, objective(loss, data.validation, pastiches)), pastiches)
                kept = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                keep(state, kept | {"step": step, "seconds": seconds})


def our_curve(config: DictConfig) -> None:
    """Train as scripts/train.py does, or go on with it."""
    style, loss = load_objective(config.loss, config.style)
    curve = Curve(Path(config.benchmark.output) / FOLDERS[OURS])
    data = Photographs(seed=config.seed, **config.data)
    begun = list(curve.state.glob(f"{style.name}/*/checkpoints/last.ckpt"))
    settings = OmegaConf.merge(config, {"runs": str(curve.state), "resume": "last" if begun else None})
    train(settings, [Referee(curve, loss, data.validation)])


def benchmark_quality(config: DictConfig) -> None:
    """Train both, write their plot and a sheet of pictures, print their table; print last `speedup N`.

    That is the plain loop's seconds at its last step over this trainer's to an objective as low, 0 if it never is.

    Raises:
        UserError: a setting that cannot be, or a folder that holds the results of other settings.
    """
    check_settings(config)
    for name, least in (("size", SMALLEST_SIDE), ("plain_steps", 1), ("plain_every", 1)):
        check_whole(config, f"benchmark.{name}", least)
    for side in ("benchmark.size", "data.validation_size"):
        if OmegaConf.select(config, side) % 4:
            raise UserError(f"{side}={OmegaConf.select(config, side)}: the plain loop needs a multiple of 4")
    if config.trainer.accelerator != "cpu":
        raise UserError("the benchmark of quality is of a processor: leave out trainer=")
    style, _ = load_objective(config.loss, config.style)
    initial_network(config, style)  # refuses one that cannot be, before the plain loop takes its hour
    folder = Path(str(config.benchmark.output)) / style.name
    config.benchmark.output = str(folder)
    keep_settings(folder, config, style)
    for contender, last, measure in (
        (PLAIN, config.benchmark.plain_steps, plain_curve),
        (OURS, config.trainer.max_steps, our_curve),
    ):
        if last in [point.step for point in Curve(folder / FOLDERS[contender]).points]:
            print(f"{contender}: as measured before, by {folder / FOLDERS[contender]}; delete that to measure anew")
        else:
            apart(measure, config)
    plain, ours = (Curve(folder / FOLDERS[contender]) for contender in (PLAIN, OURS))
    write_plot(folder / "curves.png", plain, ours, style.title)
    write_sheet(folder / "sheet.jpg", Photographs(seed=config.seed, **config.data).validation, plain, ours)
    side = config.data.validation_size
    print(f"{style.title}: the objective on held-out photographs of {side} x {side}, in float32")
    print(f"{'':14}{'step':>6}{'seconds':>9}{'objective':>11}")
    for contender, curve in ((PLAIN, plain), (OURS, ours)):
        for step, seconds, measured in curve.points:
            print(f"{contender:14}{step:6}{seconds:9.0f}{measured:11.4f}")
    goal = plain.points[-1]
    reached = [point.seconds for point in ours.points if point.objective <= goal.objective]
    print(f"speedup {goal.seconds / reached[0] if reached else 0:.1f}")


def keep_settings(folder: Path, config: DictConfig, style: Style) -> None:
    """Write what each contender's result depends on into its folder.

    Raises:
        UserError: a folder holds the result of something else.
    """
    chosen = OmegaConf.to_container(config, resolve=True)
    task = {name: chosen[name] for name in ("loss", "data", "seed")}
    task |= {"painting": {"sha256": style.sha256, "size": chosen["style"]["size"]}}
    plain = {name: chosen["network"][name] for name in ("width", "blocks")}
    plain |= {name: chosen["benchmark"][name] for name in ("size", "plain_steps", "plain_every")}
    trainer = {name: chosen[name] for name in ("network", "trainer", "optimizer", "init")}
    for contender, settings in ((PLAIN, plain), (OURS, trainer)):
        text = OmegaConf.to_yaml(OmegaConf.create(task | settings))
        path = folder / FOLDERS[contender] / "settings.yaml"
        if path.exists() and path.read_text() != text:
            raise UserError(f"{path.parent} holds results of other settings: move it away to start anew")
        write_atomically(path, text.encode())


def write_sheet(path: Path, photos: Tensor, plain: Curve, ours: Curve) -> None:
    """The photographs, their pastiches after so many minutes of this trainer, and those of the plain loop's end.

    A clone of the project holds results without their pastiches: then the sheet stays as it is.
    """
    files = {}
    for minutes in MINUTES:
        point = min(ours.points, key=lambda point: abs(point.seconds - 60 * minutes))
        if 0.9 < point.seconds / (60 * minutes) < 1.1:
            files[f"{minutes} min"] = ours.pictures(point)
    files[f"plain loop, {plain.points[-1].seconds / 60:.0f} min"] = plain.pictures(plain.points[-1])
    if all(file.exists() for file in files.values()):
        pictures = {"photograph": photos}
        pictures |= {name: torch.load(file, weights_only=True)["pastiches"] for name, file in files.items()}
        rows = [("", {name: images[i, None] for name, images in pictures.items()}) for i in range(len(photos))]
        write_atomically(path, encoded(picture_table(rows), 110, "jpeg"))


def write_plot(path: Path, plain: Curve, ours: Curve, title: str) -> None:
    """Both curves over seconds, which are on a logarithmic scale."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for contender, curve in ((PLAIN, plain), (OURS, ours)):
        seconds, objectives = [point.seconds for point in curve.points], [point.objective for point in curve.points]
        axes.plot(seconds, objectives, marker=".", label=contender)
    axes.axhline(plain.points[-1].objective, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", xlabel="seconds of training", ylabel="objective on held-out photographs", title=title)
    axes.legend()
    write_atomically(path, encoded(figure, 120))
