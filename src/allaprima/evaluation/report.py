"""The comparison as a page that stands alone, and as a sheet of its pictures."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from torch import Tensor

from allaprima.evaluation.comparison import OptimizerRun, PhotoComparison, by_size, median_equivalent, median_gain
from allaprima.evaluation.figures import delta_figure, encoded, gram_figure, picture_table
from allaprima.hardware import fastest_precision, processor_name
from allaprima.losses.perceptual import Terms
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically
from allaprima.media.images import to_image
from allaprima.networks.metadata import Metadata

START_LABELS = {"noise": "from noise", "photo": "from the photograph"}
COLORS = {"noise": "tab:blue", "photo": "tab:green"}
NETWORK_STYLES = ("-", "--", "-.", ":")


@dataclass
class Report:
    """All that a page shows.

    Attributes:
        style: the painting.
        metadata: of the first network's file.
        engine: what computed the networks.
        comparisons: per size, per photograph.
        shown: iterations whose pictures are shown.
        deltas: pictures, (1, 3, H, W), by caption.
        grams: (C, C), by layer and caption.
    """

    style: Style
    metadata: Metadata
    engine: str
    comparisons: Sequence[PhotoComparison]
    shown: Sequence[int]
    deltas: Mapping[str, Tensor]
    grams: Mapping[str, Mapping[str, Tensor]]


def write_report(path: Path, report: Report) -> None:
    """Write the page: one HTML file with every picture in it. Raises FileError where that is not possible."""
    environment = Environment(
        loader=PackageLoader("allaprima.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    sizes = by_size(report.comparisons)
    page = environment.get_template("comparison.html").render(
        style=report.style,
        network=report.metadata,
        comparisons=[described(comparison) for comparison in report.comparisons],
        networks=list(report.comparisons[0].networks),
        start_labels=START_LABELS,
        start=next(iter(report.comparisons[0].optimizer)),
        equivalent=equivalent_rows(sizes),
        times=time_rows(sizes, report.shown),
        shown=report.shown,
        deltas=plot_uri(delta_figure(report.deltas)),
        grams=plot_uri(gram_figure(report.grams)),
        machine=machine(report.engine),
        today=date.today().isoformat(),
    )
    write_atomically(path, page.encode())


def described(comparison: PhotoComparison) -> dict[str, Any]:
    """What the template needs of one photograph at one size."""
    return {
        "name": comparison.name,
        "size": comparison.size,
        "photo": picture_uri(comparison.photo),
        "own": comparison.own,
        "networks": {
            name: {"picture": picture_uri(painted.picture), "terms": painted.terms}
            for name, painted in comparison.networks.items()
        },
        "optimizer": {
            start: [
                {"number": number, "picture": picture_uri(picture), "terms": optimizer_run.terms[number]}
                for number, picture in sorted(optimizer_run.pictures.items())
            ]
            for start, optimizer_run in comparison.optimizer.items()
        },
        "curves": plot_uri(curve_figure(comparison)),
    }


def equivalent_rows(sizes: Mapping[int, Sequence[PhotoComparison]]) -> list[dict[str, Any]]:
    """Per network, size and start, the median and range of its equivalent iterations."""
    rows = []
    for size, comparisons in sizes.items():
        for network in comparisons[0].networks:
            for start, optimizer_run in comparisons[0].optimizer.items():
                median, least, most = median_equivalent(comparisons, network, start)
                row = {"network": network, "size": size, "start": START_LABELS[start], "of": optimizer_run.allowed}
                rows.append(
                    row
                    | {"median": at_least(median, optimizer_run), "least": least, "most": at_least(most, optimizer_run)}
                    | {"gain": median_gain(comparisons, network)}
                )
    return rows


def at_least(number: float, optimizer_run: OptimizerRun) -> str:
    """A number of iterations; one that the optimizer was not allowed to exceed may be more."""
    return f"{number:g} or more" if number >= optimizer_run.allowed else f"{number:g}"


def time_rows(sizes: Mapping[int, Sequence[PhotoComparison]], shown: Sequence[int]) -> list[dict[str, Any]]:
    """Per size and network, mean seconds of the optimizer and of a pass, and how many times faster that is."""
    rows = []
    for size, comparisons in sizes.items():
        start = next(iter(comparisons[0].optimizer))
        slow = [
            fmean(
                comparison.optimizer[start].seconds[min(n, len(comparison.optimizer[start].seconds) - 1)]
                for comparison in comparisons
            )
            for n in shown
        ]
        for network in comparisons[0].networks:
            fast = fmean(comparison.networks[network].seconds for comparison in comparisons)
            rows.append({"size": size, "network": network, "slow": slow, "fast": fast, "speedup": slow[-1] / fast})
    return rows


def curve_figure(comparison: PhotoComparison) -> Figure:
    """The objective and its terms against iterations, networks as lines across (Johnson et al. 2016, figure 5)."""
    figure = Figure((11, 3.4), layout="constrained")
    for axes, (index, term) in zip(figure.subplots(1, len(Terms._fields)), enumerate(Terms._fields), strict=True):
        for start, optimizer_run in comparison.optimizer.items():
            values = [terms[index] for terms in optimizer_run.terms]
            axes.plot(range(1, len(values)), values[1:], color=COLORS[start], label=f"optimizer {START_LABELS[start]}")
        for line, (name, painted) in zip(
            NETWORK_STYLES * len(comparison.networks), comparison.networks.items(), strict=False
        ):
            axes.axhline(painted.terms[index], color="tab:red", linestyle=line, label=f"network {name}")
        axes.axhline(comparison.own[index], color="0.6", linestyle=":", label="the photograph itself")
        axes.set(title={"total": "objective", "tv": "total variation"}.get(term, term), xlabel="iterations")
        axes.set_xscale("log")
        if term == "total":
            axes.set_yscale("log")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def write_sheet(path: Path, report: Report) -> None:
    """Write the pictures alone, a row per photograph and size. Raises FileError where that is not possible."""
    start = next(iter(report.comparisons[0].optimizer))
    rows = []
    for comparison in report.comparisons:
        row = {"photograph": comparison.photo} | {
            name: painted.picture for name, painted in comparison.networks.items()
        }
        optimizer_run = comparison.optimizer[start]
        row |= {
            f"optimizer, {number} iterations": picture for number, picture in sorted(optimizer_run.pictures.items())
        }
        rows.append((f"{comparison.name}, {comparison.size} pixels", row))
    write_atomically(path, encoded(picture_table(rows), 130))


def plot_uri(figure: Figure) -> str:
    """A figure as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encoded(figure, 110)).decode()}"


def picture_uri(picture: Tensor) -> str:
    """A picture, (1, 3, H, W) in [0, 1], as an address that holds it."""
    file = io.BytesIO()
    to_image(picture[0]).save(file, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def machine(engine: str) -> dict[str, str]:
    """On what the seconds were measured."""
    return {
        "processor": f"{processor_name()}, {torch.get_num_threads()} threads",
        "precision": fastest_precision("cpu"),
        "versions": ", ".join(
            f"{package} {version(package)}" for package in sorted({"torch", "scipy", "allaprima", engine})
        ),
        "engine": engine,
    }
