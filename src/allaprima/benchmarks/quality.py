"""The objective on held-out photographs against seconds of training: the plain loop and this project's trainer."""

import csv
import io
import time
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from allaprima.benchmarks.plain import plain_johnson, plain_step
from allaprima.benchmarks.turns import apart
from allaprima.comparison_page import encoded
from allaprima.data.module import Photographs
from allaprima.data.photos import StepBatches, TrainingSamples
from allaprima.errors import UserError
from allaprima.images import write_atomically
from allaprima.losses import PerceptualLoss
from allaprima.objective import load_objective
from allaprima.settings import check_whole
from allaprima.style import Style
from allaprima.training import StyleTransfer
from allaprima.training_run import check_settings, train

PLAIN_LEARNING_RATE = 1e-3
PLAIN, OURS = "plain loop", "this trainer"
CURVES, SETTINGS, STATE = "curves.csv", "settings.yaml", "state"


class Point(NamedTuple):
    """Where a contender stood after so many steps and seconds of training: the objective, computed in float32."""

    contender: str
    step: int
    seconds: float
    objective: float


class Curves:
    """The points of both contenders, kept in a CSV file whenever one is added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[Point] = []
        if path.exists():
            with path.open(newline="") as file:
                self.points = [
                    Point(row["contender"], int(row["step"]), float(row["seconds"]), float(row["objective"]))
                    for row in csv.DictReader(file)
                ]

    def of(self, contender: str) -> list[Point]:
        """One contender's points, in the order of their steps."""
        return sorted((point for point in self.points if point.contender == contender), key=lambda point: point.step)

    def add(self, point: Point) -> None:
        """Add a point, or put it in the place of one that an interrupted run left there, and write the file."""
        self.points = [other for other in self.points if other[:2] != point[:2]] + [point]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Point._fields)
        for point in sorted(self.points, key=lambda point: point[:2]):
            writer.writerow([point.contender, point.step, f"{point.seconds:.2f}", f"{point.objective:.5f}"])
        write_atomically(self.path, text.getvalue().encode())


class Referee(pl.Callback):
    """Adds a point to the curve of this trainer at each of its validations, which its clock leaves out."""

    def __init__(self, curves: Curves, loss: PerceptualLoss, photos: Tensor) -> None:
        self.curves, self.loss, self.photos = curves, loss, photos

    def on_validation_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Measure."""
        with trainer.precision_plugin.forward_context():
            pastiches = painted(module.network, self.photos.contiguous(memory_format=torch.channels_last))
        measured = objective(self.loss, self.photos, pastiches)
        self.curves.add(Point(OURS, trainer.global_step, module.seconds, measured))


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
    folder, benchmark = Path(config.benchmark.output), config.benchmark
    curves, state = Curves(folder / CURVES), folder / STATE / "plain.ckpt"
    pl.seed_everything(config.seed, verbose=False)
    network = plain_johnson(config.network.width, config.network.blocks)
    optimizer = torch.optim.Adam(network.parameters(), PLAIN_LEARNING_RATE)
    step, seconds = 0, 0.0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        step, seconds = kept["step"], kept["seconds"]
    data = Photographs(seed=config.seed, **config.data)
    samples = TrainingSamples(data.photos, data.leaves_share, benchmark.size, config.seed)
    batches = StepBatches(step, benchmark.plain_steps, data.batch_size, rank=0, devices=1)
    loader = iter(DataLoader(samples, batch_sampler=batches, num_workers=data.workers))
    with tqdm(total=benchmark.plain_steps, initial=step, desc=PLAIN, unit="step") as progress:
        while step < benchmark.plain_steps:
            started = time.perf_counter()
            photos, _ = next(loader)
            plain_step(network, loss, optimizer, photos)
            seconds += time.perf_counter() - started
            step += 1
            progress.update()
            if step % benchmark.plain_every == 0 or step == benchmark.plain_steps:
                measured = objective(loss, data.validation, painted(network, data.validation))
                curves.add(Point(PLAIN, step, seconds, measured))
                kept = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                content = io.BytesIO()
                torch.save(kept | {"step": step, "seconds": seconds}, content)
                write_atomically(state, content.getvalue())


def our_curve(config: DictConfig) -> None:
    """Train as scripts/train.py does, or go on with it."""
    style, loss = load_objective(config.loss, config.style)
    folder = Path(config.benchmark.output)
    data = Photographs(seed=config.seed, **config.data)
    runs = folder / STATE
    begun = list(runs.glob(f"{style.name}/*/checkpoints/last.ckpt"))
    settings = OmegaConf.merge(config, {"runs": str(runs), "resume": "last" if begun else None})
    train(settings, [Referee(Curves(folder / CURVES), loss, data.validation)])


def benchmark_quality(config: DictConfig) -> None:
    """Train both, print their table and write their plot; print last `speedup N`.

    That is the plain loop's seconds at its last step over this trainer's to an objective as low, 0 if it never is.

    Raises:
        UserError: a setting that cannot be, or a folder that holds the results of other settings.
    """
    check_settings(config)
    for name, least in (("size", 32), ("plain_steps", 1), ("plain_every", 1)):
        check_whole(config, f"benchmark.{name}", least)
    for side in ("benchmark.size", "data.validation_size"):
        if OmegaConf.select(config, side) % 4:
            raise UserError(f"{side}={OmegaConf.select(config, side)}: the plain loop needs a multiple of 4")
    if config.trainer.accelerator != "cpu":
        raise UserError("the benchmark of quality is of a processor: leave out trainer=")
    style, _ = load_objective(config.loss, config.style)
    folder = Path(str(config.benchmark.output)) / style.name
    config.benchmark.output = str(folder)
    keep_settings(folder, config, style)
    for contender, last, measure in (
        (PLAIN, config.benchmark.plain_steps, plain_curve),
        (OURS, config.trainer.max_steps, our_curve),
    ):
        if last not in [point.step for point in Curves(folder / CURVES).of(contender)]:
            apart(measure, config)
    curves = Curves(folder / CURVES)
    plain, ours = curves.of(PLAIN), curves.of(OURS)
    write_plot(folder / "curves.png", plain, ours, style.title)
    side = config.data.validation_size
    print(f"{style.title}: the objective on held-out photographs of {side} x {side}, in float32")
    print(f"{'':14}{'step':>6}{'seconds':>9}{'objective':>11}")
    for point in [*plain, *ours]:
        print(f"{point.contender:14}{point.step:6}{point.seconds:9.0f}{point.objective:11.4f}")
    reached = [point.seconds for point in ours if point.objective <= plain[-1].objective]
    print(f"speedup {plain[-1].seconds / reached[0] if reached else 0:.1f}")


def keep_settings(folder: Path, config: DictConfig, style: Style) -> None:
    """Write what a result depends on into its folder.

    Raises:
        UserError: the folder holds the result of something else.
    """
    names = ("loss", "network", "data", "trainer", "optimizer", "seed", "init")
    settings = {name: OmegaConf.select(config, name) for name in names}
    settings |= {"painting": {"sha256": style.sha256, "size": config.style.size}}
    settings |= {"plain": {name: config.benchmark[name] for name in ("size", "plain_steps", "plain_every")}}
    text = OmegaConf.to_yaml(OmegaConf.create(settings), resolve=True)
    path = folder / SETTINGS
    if path.exists() and path.read_text() != text:
        raise UserError(f"{folder} holds results of other settings, see {path}: move it away to start anew")
    write_atomically(path, text.encode())


def write_plot(path: Path, plain: list[Point], ours: list[Point], title: str) -> None:
    """Both curves over seconds, which are on a logarithmic scale."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for points in (plain, ours):
        seconds, objectives = [point.seconds for point in points], [point.objective for point in points]
        axes.plot(seconds, objectives, marker=".", label=points[0].contender)
    axes.axhline(plain[-1].objective, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", xlabel="seconds of training", ylabel="objective on held-out photographs", title=title)
    axes.legend()
    write_atomically(path, encoded(figure, 120))
