"""The objective on held-out photographs against seconds of training: the baseline and this project's trainer."""

import csv
import io
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from torch import Tensor, nn
from tqdm import tqdm

from allaprima.benchmarks.baseline import baseline_johnson, baseline_step
from allaprima.benchmarks.quality_settings import baseline_settings, our_settings, with_machine, write_settings
from allaprima.benchmarks.rounds import in_fresh_process
from allaprima.benchmarks.settings import QualityBenchmark
from allaprima.commands.objective import load_objective
from allaprima.commands.train import train
from allaprima.data.module import PhotoDataModule
from allaprima.errors import UserError
from allaprima.evaluation.figures import encoded, picture_table
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.files import write_atomically
from allaprima.training.checkpoints import write_state
from allaprima.training.distillation import load_teacher
from allaprima.training.initialization import ancestors, initial_network
from allaprima.training.module import StyleTransfer
from allaprima.training.runs import LAST

BASELINE_LEARNING_RATE = 1e-3
# Each has a folder of its own, so that one can be measured again beside the other.
BASELINE, OURS = "baseline", "this trainer"
FOLDERS = {BASELINE: "baseline", OURS: "trainer"}
MINUTES = (1, 3, 10, 30)  # after which, as near as there are any, the sheet shows pictures


class Point(NamedTuple):
    """Where a contender stood after so many steps and seconds of training: the objective at each of the sizes."""

    step: int
    seconds: float
    objectives: tuple[float, ...]


class Curve:
    """A contender's points, kept in a CSV file whenever one is added, and the pastiches of each.

    Args:
        folder: of the contender.
        sizes: pixels a side of the photographs that it is judged on.
    """

    def __init__(self, folder: Path, sizes: Sequence[int]) -> None:
        self.path, self.state = folder / "curve.csv", folder / "state"
        self.names = [f"objective_{size}" for size in sizes]
        self.points: list[Point] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self.points = [
                    Point(int(row["step"]), float(row["seconds"]), tuple(float(row[name]) for name in self.names))
                    for row in csv.DictReader(file)
                ]

    def add(self, point: Point, pastiches: Tensor) -> None:
        """Add a point, or put it in the place of one that an interrupted run left there, and write the file."""
        write_state(self.pictures(point), {"pastiches": pastiches})
        self.points = sorted([other for other in self.points if other.step != point.step] + [point])
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["step", "seconds", *self.names])
        for step, seconds, objectives in self.points:
            writer.writerow([step, f"{seconds:.2f}", *(f"{objective:.5f}" for objective in objectives)])
        write_atomically(self.path, text.getvalue().encode())

    def pictures(self, point: Point) -> Path:
        """The file of a point's pastiches."""
        return self.state / "pastiches" / f"{point.step}.pt"


class Evaluator:
    """Judges a network by the objective on held-out photographs, in the middle of larger ones that it paints.

    The objective gains from frames at the borders: what a network does there does not count.

    Args:
        settings: of the benchmark.
        loss: the objective, in float32.
    """

    def __init__(self, settings: QualityBenchmark, loss: PerceptualLoss) -> None:
        self.loss, self.margin = loss, settings.benchmark.margin
        self.photos = [held_out(settings, size) for size in settings.benchmark.sizes]

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> tuple[tuple[float, ...], Tensor]:
        """The mean objective at each size, and the pastiches at the last, (N, 3, size, size)."""
        objectives = []
        for photos in self.photos:
            painted = [middle(network(photo).float(), self.margin) for photo in photos.split(1)]
            objectives.append(statistics.mean(map(self.objective, middle(photos, self.margin).split(1), painted)))
        return tuple(objectives), torch.cat(painted)

    def objective(self, photo: Tensor, pastiche: Tensor) -> float:
        """Of one photograph and its pastiche, (1, 3, H, W): several at once need more memory than training does."""
        with torch.autocast("cpu", enabled=False):
            return self.loss.between(pastiche, photo).total.item()


class EvaluationCallback(pl.Callback):
    """Adds a point to the curve of this trainer at each of its validations, which its clock leaves out."""

    def __init__(self, curve: Curve, evaluator: Evaluator) -> None:
        self.curve, self.evaluator = curve, evaluator

    def on_validation_end(self, trainer: pl.Trainer, module: StyleTransfer) -> None:
        """Evaluate the averaged network."""
        with trainer.precision_plugin.forward_context():
            objectives, pastiches = self.evaluator(module.ema)
        self.curve.add(Point(trainer.global_step, module.seconds, objectives), pastiches)


def held_out(settings: QualityBenchmark, size: int) -> Tensor:
    """The validation squares, with their margin, of which `size` pixels a side are judged."""
    side = size + 2 * settings.benchmark.margin
    return PhotoDataModule(seed=settings.seed, **settings.data.asdict() | {"validation_size": side}).validation


def middle(pictures: Tensor, margin: int) -> Tensor:
    """Pictures without so many pixels at each of their borders."""
    return F.pad(pictures, [-margin] * 4)


def baseline_curve(settings: QualityBenchmark) -> None:
    """Train with the baseline, or go on with it: float32, Adam at a constant rate, from random weights."""
    _, loss = load_objective(settings.loss, settings.style)
    benchmark = settings.benchmark
    curve, evaluator = Curve(Path(benchmark.output) / FOLDERS[BASELINE], benchmark.sizes), Evaluator(settings, loss)
    state = curve.state / "last.ckpt"
    pl.seed_everything(settings.seed, verbose=False)
    network = baseline_johnson(settings.network.width, settings.network.blocks)
    optimizer = torch.optim.Adam(network.parameters(), BASELINE_LEARNING_RATE)
    step, seconds = 0, 0.0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        optimizer.load_state_dict(kept["optimizer"])
        step, seconds = kept["step"], kept["seconds"]
    batches = {"size": benchmark.size, "batch_size": benchmark.batch_size}
    data = PhotoDataModule(seed=settings.seed, **settings.data.asdict() | batches)
    loader = iter(data.batches(step, benchmark.baseline_steps))
    with tqdm(total=benchmark.baseline_steps, initial=step, desc=BASELINE, unit="step") as progress:
        while step < benchmark.baseline_steps:
            started = time.perf_counter()
            baseline_step(network, loss, optimizer, next(loader).photos)
            seconds += time.perf_counter() - started
            step += 1
            progress.update()
            if step % benchmark.baseline_every == 0 or step == benchmark.baseline_steps:
                objectives, pastiches = evaluator(network)
                curve.add(Point(step, seconds, objectives), pastiches)
                kept = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                write_state(state, kept | {"step": step, "seconds": seconds})


def our_curve(settings: QualityBenchmark) -> None:
    """Train as scripts/train.py does, or go on with it."""
    style, loss = load_objective(settings.loss, settings.style)
    curve = Curve(Path(settings.benchmark.output) / FOLDERS[OURS], settings.benchmark.sizes)
    begun = list((curve.state / style.name).glob(f"*/{LAST}"))
    training = settings.model_dump(exclude_unset=True, exclude={"benchmark"})
    training |= {"runs": str(curve.state), "resume": "last" if begun else None}
    train(OmegaConf.create(training), [EvaluationCallback(curve, Evaluator(settings, loss))])


def benchmark_quality(settings: QualityBenchmark) -> None:
    """Train both, write their plot and a sheet of pictures, print their table; print last `speedup N`.

    That is the baseline's seconds at its last step over this trainer's to an objective as low at the last of the
    sizes, 0 if it never is. The lines before have it for every size, and likewise from the baseline's lowest point,
    since its last may be one of its worse.

    Raises:
        UserError: a setting that cannot be, or a folder that holds the results of other settings.
    """
    if settings.trainer.accelerator != "cpu":
        raise UserError("the benchmark of quality is of a processor: leave out trainer=")
    benchmark, sizes = settings.benchmark, settings.benchmark.sizes
    style, _ = load_objective(settings.loss, settings.style)
    # Both refuse what cannot be before the baseline takes its hour.
    _, start = initial_network(settings.network.asdict(), settings.styles, settings.init, style.name)
    if settings.teacher:
        load_teacher(settings.teacher, style)
    folder = Path(benchmark.output) / style.name
    settings = settings.model_copy(update={"benchmark": benchmark.model_copy(update={"output": str(folder)})})
    measure(settings, {BASELINE: baseline_settings(settings, style), OURS: our_settings(settings, style, start)})
    baseline, ours = (Curve(folder / FOLDERS[contender], sizes) for contender in (BASELINE, OURS))
    write_plot(folder / "curves.png", baseline, ours, sizes, style.title)
    write_sheet(folder / "sheet.jpg", middle(held_out(settings, sizes[-1]), benchmark.margin), baseline, ours)
    print(f"{style.title}: the objective on held-out photographs, in float32, by the pixels of a side")
    print(f"{'':14}{'step':>6}{'seconds':>9}", *(f"{size:>7}" for size in sizes))
    for contender, curve in ((BASELINE, baseline), (OURS, ours)):
        for step, seconds, objectives in curve.points:
            print(f"{contender:14}{step:6}{seconds:9.0f}", *(f"{objective:7.4f}" for objective in objectives))
    if style.name in ancestors(start):
        print("not of a new painting: the network that this trainer began with had been trained on it")
    for place, size in enumerate(sizes):
        lowest = min(baseline.points, key=lambda point: point.objectives[place])
        last, best = (speedup(goal, ours.points, place) for goal in (baseline.points[-1], lowest))
        print(f"speedup at {size} x {size}: {last:.1f}, to the baseline's lowest, at step {lowest.step}: {best:.1f}")
    print(f"speedup {last:.1f}")


def measure(settings: QualityBenchmark, depends: Mapping[str, dict[str, Any]]) -> None:
    """Train each contender whose result is not there yet.

    Args:
        settings: of the benchmark.
        depends: by contender, what its result depends on.

    Raises:
        UserError: the folder holds a result of other settings.
    """
    folder = Path(settings.benchmark.output)
    contenders = {
        BASELINE: (baseline_curve, settings.benchmark.baseline_steps),
        OURS: (our_curve, settings.trainer.max_steps),
    }
    done, complete = {}, {}
    for contender, (_, last) in contenders.items():
        steps = [point.step for point in Curve(folder / FOLDERS[contender], []).points]  # of any sizes
        done[contender] = last in steps
        complete[contender] = with_machine(folder / FOLDERS[contender], depends[contender], done[contender])
    if complete[BASELINE]["machine"] != complete[OURS]["machine"]:
        raise UserError(f"{folder} holds a result of another machine: move it away to measure both on one")
    for contender, each in complete.items():
        write_settings(folder / FOLDERS[contender], each)
    for contender, (train_it, _) in contenders.items():
        if done[contender]:
            print(f"{contender}: as measured before, by {folder / FOLDERS[contender]}; delete that to measure again")
        else:
            in_fresh_process(train_it, settings)


def speedup(goal: Point, ours: Sequence[Point], place: int) -> float:
    """Seconds of a point of the baseline over those of our first as low at the size in that place; 0 for none."""
    reached = [point.seconds for point in ours if point.objectives[place] <= goal.objectives[place]]
    return goal.seconds / reached[0] if reached else 0


def write_sheet(path: Path, photos: Tensor, baseline: Curve, ours: Curve) -> None:
    """The photographs, their pastiches after so many minutes of this trainer, and those of the baseline's end.

    A clone of the project holds results without their pastiches: then the sheet stays as it is.
    """
    files = {}
    for minutes in MINUTES:
        point = min(ours.points, key=lambda point: abs(point.seconds - 60 * minutes))
        files[f"{point.seconds / 60:.2g} min"] = ours.pictures(point)
    files[f"baseline, {baseline.points[-1].seconds / 60:.0f} min"] = baseline.pictures(baseline.points[-1])
    if all(file.exists() for file in files.values()):
        pictures = {"photograph": photos}
        pictures |= {name: torch.load(file, weights_only=True)["pastiches"] for name, file in files.items()}
        rows = [("", {name: images[i, None] for name, images in pictures.items()}) for i in range(len(photos))]
        write_atomically(path, encoded(picture_table(rows), 110, "jpeg"))


def write_plot(path: Path, baseline: Curve, ours: Curve, sizes: Sequence[int], title: str) -> None:
    """Both curves over seconds, which are on a logarithmic scale, side by side for each size."""
    figure = Figure(figsize=(5 * len(sizes), 4), layout="constrained")
    for place, axes in enumerate(figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]):
        for contender, curve in ((BASELINE, baseline), (OURS, ours)):
            seconds = [point.seconds for point in curve.points]
            axes.plot(seconds, [point.objectives[place] for point in curve.points], marker=".", label=contender)
        axes.axhline(baseline.points[-1].objectives[place], color="grey", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel="seconds of training", title=f"{title}, {sizes[place]} x {sizes[place]}")
    figure.axes[0].set_ylabel("objective on held-out photographs")
    figure.axes[0].legend()
    write_atomically(path, encoded(figure, 120))
