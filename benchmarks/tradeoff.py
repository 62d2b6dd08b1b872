"""What speed costs: the objective on held-out photographs against milliseconds, for networks of one painting."""

import functools
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure

from allaprima.data.photos import validation_squares
from allaprima.errors import UserError
from allaprima.evaluation.figures import encoded
from allaprima.inference.engines import not_installed, openvino_compiled, openvino_model
from allaprima.inference.quantization import INT8, int8_model
from allaprima.losses.objective import load_objective
from allaprima.losses.style import Style
from allaprima.media.bundled import STARTER_VALIDATION, bundled_names, packaged_photos
from allaprima.media.files import write_atomically
from allaprima.networks.files import load_network
from benchmarks.latency import latencies
from benchmarks.rounds import in_turn
from benchmarks.settings import BenchmarkSettings

MODELS = {"native": openvino_model, "int8": int8_model}


class SpeedAndObjective(NamedTuple):
    """Seconds of each run, and the objective in float32, the mean over the packaged held-out photographs."""

    seconds: list[float]
    objective: float


@torch.inference_mode()
def time_and_judge(name: str, engine: str, settings: BenchmarkSettings) -> SpeedAndObjective:
    """Let a network paint by OpenVINO, in its fastest floating-point type (`native`) or in int8."""
    network, _ = load_network(name)
    paint = openvino_compiled(MODELS[engine](network.eval(), network.code()))
    seconds = latencies(paint, settings.benchmark.size, settings.benchmark.size, settings.benchmark.runs)
    _, loss = load_objective(settings.loss, settings.style)
    photos = validation_squares(packaged_photos(STARTER_VALIDATION), settings.data.validation_size)
    objective = loss.between(torch.cat([paint(photo) for photo in photos.split(1)]), photos).total.item()
    return SpeedAndObjective(seconds, objective)


def benchmark_tradeoff(settings: BenchmarkSettings) -> None:
    """Print the table, the slowest first, and draw it as a picture.

    Raises:
        UserError: an invalid setting, a network of another painting, or a package that is missing.
    """
    if missing := not_installed(INT8):
        raise UserError(f"this needs {', '.join(missing)}: pip install 'allaprima[benchmark]'")
    style, _ = load_objective(settings.loss, settings.style)
    contenders = {
        f"{name} {engine}": functools.partial(time_and_judge, name, engine)
        for name in chosen(settings, style)
        for engine in MODELS
    }
    rounds = in_turn(contenders, settings)
    points = {}
    for name, found in rounds.items():
        milliseconds = 1e3 * statistics.median(second for each in found for second in each.seconds)
        points[name] = milliseconds, found[0].objective
    points = dict(sorted(points.items(), key=lambda point: -point[1][0]))
    best = min(objective for _, objective in points.values())
    size = settings.benchmark.size
    judged = settings.data.validation_size
    print(f"{style.title}: objective on held-out photographs of {judged} x {judged}, ", end="")
    print(f"time for {size} x {size}, {torch.get_num_threads()} threads, OpenVINO")
    width = max(32, *map(len, points))
    print(f"{'':{width}}{'ms':>8}{'objective':>11}{'of best':>9}")
    for name, (milliseconds, objective) in points.items():
        print(f"{name:{width}}{milliseconds:8.1f}{objective:11.4f}{objective / best:9.3f}")
    picture = Path(settings.benchmark.output) / f"{style.name}.png"
    write_atomically(picture, encoded(curve(points, f"{style.title}, {size} x {size}"), 120))
    print(f"the curve is {picture}")


def chosen(settings: BenchmarkSettings, style: Style) -> list[str]:
    """The networks asked for, by name or path.

    Raises:
        UserError: one of them is no network or of another painting, or none is bundled.
    """
    if settings.benchmark.networks is None:
        names = bundled_names("models")
        if not (bundled := [name for name in names if load_network(name)[1].paintings[0].same_as(style)]):
            raise UserError(f"no bundled network paints {style.title}: give benchmark.networks=[FILE,FILE]")
        return bundled
    for name in settings.benchmark.networks:
        painting = load_network(name)[1].paintings[0]
        if not painting.same_as(style):
            raise UserError(f"{name} paints {painting.title}: give networks of {style.title}, or another style=")
    return settings.benchmark.networks


def curve(points: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """Milliseconds and objective by name, a network's two points joined."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for network in dict.fromkeys(name.rpartition(" ")[0] for name in points):
        milliseconds, objectives = zip(*(points[f"{network} {engine}"] for engine in MODELS), strict=True)
        axes.plot(milliseconds, objectives, "o-", label=network)
    axes.set(xlabel="milliseconds, in int8 and in floating point", ylabel="objective on held-out photographs")
    axes.set(title=title, xlim=0)
    axes.legend()
    return figure
