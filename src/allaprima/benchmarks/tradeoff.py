"""What speed costs: the objective on held-out photographs against milliseconds, for networks of one painting."""

import functools
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig

from allaprima.benchmarks.latency import latencies
from allaprima.benchmarks.turns import in_turn
from allaprima.data.photos import STARTER_VALIDATION, packaged_photos, validation_squares
from allaprima.engines import not_installed, openvino_engine
from allaprima.errors import UserError
from allaprima.figures import encoded
from allaprima.images import write_atomically
from allaprima.network_file import load_network, network_path
from allaprima.objective import load_objective
from allaprima.quantization import INT8, int8_engine
from allaprima.settings import SMALLEST_SIDE, check_names, check_whole
from allaprima.shipped import shipped_names
from allaprima.style import Style

ENGINES = {"native": openvino_engine, "int8": int8_engine}
PHOTO = 256


class Measured(NamedTuple):
    """Seconds of each run at the size that is timed, and the mean objective of pastiches of 256 x 256, in float32."""

    seconds: list[float]
    objective: float


@torch.inference_mode()
def measure(name: str, engine: str, config: DictConfig) -> Measured:
    """Let a network paint by OpenVINO, in its fastest floating-point type (`native`) or in int8."""
    paint = ENGINES[engine](load_network(name)[0])
    seconds = latencies(paint, config.benchmark.size, config.benchmark.size, config.benchmark.runs)
    _, loss = load_objective(config.loss, config.style)
    photos = validation_squares(packaged_photos(STARTER_VALIDATION), PHOTO)
    objective = loss(torch.cat([paint(photo) for photo in photos.split(1)]), loss.content_features(photos)).total.item()
    return Measured(seconds, objective)


def benchmark_tradeoff(config: DictConfig) -> None:
    """Print the table, the slowest first, and draw it as a picture.

    Raises:
        UserError: a setting that cannot be, a network of another painting, or a package that is missing.
    """
    for name, least in (("runs", 1), ("rounds", 1), ("size", SMALLEST_SIDE)):
        check_whole(config, f"benchmark.{name}", least)
    if missing := not_installed(INT8):
        raise UserError(f"this needs {', '.join(missing)}: pip install 'allaprima[benchmark]'")
    style, _ = load_objective(config.loss, config.style)
    contenders = {
        f"{network_path(name).stem} {engine}": functools.partial(measure, name, engine)
        for name in chosen(config, style)
        for engine in ENGINES
    }
    rounds = in_turn(contenders, config)
    points = {}
    for name, found in rounds.items():
        milliseconds = 1e3 * statistics.median(second for each in found for second in each.seconds)
        points[name] = milliseconds, found[0].objective
    points = dict(sorted(points.items(), key=lambda point: -point[1][0]))
    best = min(objective for _, objective in points.values())
    size = config.benchmark.size
    print(f"{style.title}: objective on held-out photographs of {PHOTO} x {PHOTO}, time for {size} x {size}, ", end="")
    print(f"{torch.get_num_threads()} threads, OpenVINO")
    print(f"{'':32}{'ms':>8}{'objective':>11}{'of best':>9}")
    for name, (milliseconds, objective) in points.items():
        print(f"{name:32}{milliseconds:8.1f}{objective:11.4f}{objective / best:9.3f}")
    picture = Path(str(config.benchmark.output)) / f"{style.name}.png"
    write_atomically(picture, encoded(curve(points, f"{style.title}, {size} x {size}"), 120))
    print(f"the curve is {picture}")


def chosen(config: DictConfig, style: Style) -> list[str]:
    """The networks asked for, by name or path.

    Raises:
        UserError: one of them is no network, or of another painting.
    """
    if config.benchmark.networks is None:
        names = shipped_names("models")
        return [name for name in names if load_network(name)[1]["style"]["sha256"] == style.sha256]
    check_names(config, "benchmark.networks")
    for name in config.benchmark.networks:
        painting = load_network(name)[1]["style"]
        if painting["sha256"] != style.sha256:
            raise UserError(f"{name} paints {painting['title']}: give networks of {style.title}, or another style=")
    return list(config.benchmark.networks)


def curve(points: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """Milliseconds and objective by name."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, (milliseconds, objective) in points.items():
        axes.plot(milliseconds, objective, "o")
        axes.annotate(name, (milliseconds, objective), xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.set(xscale="log", xlabel="milliseconds", ylabel="objective on held-out photographs", title=title)
    return figure
