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
from allaprima.losses.perceptual import LossTerms
from allaprima.losses.style import Style
from allaprima.media.files import write_atomically
from allaprima.media.images import to_image
from allaprima.networks.metadata import Metadata

START_LABELS = {"noise": "from noise", "photo": "from the photograph"}
COLORS = {"noise": "tab:blue", "photo": "tab:green"}
NETWORK_STYLES = ("-", "--", "-.", ":")


@dataclass
class Report:
    """All that a page shows."""

    style: Style  # the painting
    metadata: Metadata  # of the first network's file
    engine: str  # what computed the networks
    content_weight: float  # of the objective
    comparisons: Sequence[PhotoComparison]  # per size, per photograph
    shown: Sequence[int]  # iterations whose pictures are shown
    deltas: Mapping[str, Tensor]  # pictures, (1, 3, H, W), by caption
    bold: Mapping[str, Tensor]  # pictures, (1, 3, H, W), from calm to bold, by caption
    grams: Mapping[str, Mapping[str, Tensor]]  # (C, C), by layer and caption

    def write(self, path: Path) -> None:
        """Write the page: one HTML file with every picture in it. Raises FileError where that is not possible."""
        environment = Environment(
            loader=PackageLoader("allaprima.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        environment.filters |= {"picture_uri": picture_uri, "curves_uri": lambda each: plot_uri(curve_figure(each))}
        packages = sorted({"torch", "scipy", "allaprima", self.engine})
        sizes = by_size(self.comparisons)
        page = environment.get_template("comparison.html").render(
            style=self.style,
            network=self.metadata,
            comparisons=self.comparisons,
            networks=list(self.comparisons[0].networks),
            start_labels=START_LABELS,
            start=next(iter(self.comparisons[0].optimizer)),
            equivalent=equivalent_rows(sizes),
            times=time_rows(sizes, self.shown),
            shown=self.shown,
            content_weight=self.content_weight,
            bold=self.bold,
            deltas=plot_uri(delta_figure(self.deltas)),
            grams=plot_uri(gram_figure(self.grams)),
            machine={
                "processor": f"{processor_name()}, {torch.get_num_threads()} threads",
                "precision": fastest_precision("cpu"),
                "versions": ", ".join(f"{package} {version(package)}" for package in packages),
                "engine": self.engine,
            },
            today=date.today().isoformat(),
        )
        write_atomically(path, page.encode())

    def write_sheet(self, path: Path) -> None:
        """Write the pictures alone, a row per photograph and size. Raises FileError where that is not possible."""
        start = next(iter(self.comparisons[0].optimizer))
        rows = []
        for each in self.comparisons:
            row = {"photograph": each.photo} | {name: result.picture for name, result in each.networks.items()}
            for number, picture in sorted(each.optimizer[start].pictures.items()):
                row[f"optimizer, {number} iterations"] = picture
            rows.append((f"{each.name}, {each.size} pixels", row))
        write_atomically(path, encoded(picture_table(rows), 130))


def equivalent_rows(sizes: Mapping[int, Sequence[PhotoComparison]]) -> list[dict[str, Any]]:
    """Per network, size and start, the median and range of its equivalent iterations."""
    rows = []
    for size, comparisons in sizes.items():
        for network in comparisons[0].networks:
            for start, run in comparisons[0].optimizer.items():
                median, least, most = median_equivalent(comparisons, network, start)
                row = {"network": network, "size": size, "start": START_LABELS[start], "of": run.allowed}
                row |= {"median": or_more(median, run), "least": least, "most": or_more(most, run)}
                rows.append(row | {"gain": median_gain(comparisons, network)})
    return rows


def or_more(number: float, run: OptimizerRun) -> str:
    """A number of iterations; one that the optimizer was not allowed to exceed may be more."""
    return f"{number:g} or more" if number >= run.allowed else f"{number:g}"


def time_rows(sizes: Mapping[int, Sequence[PhotoComparison]], shown: Sequence[int]) -> list[dict[str, Any]]:
    """Per size and network, mean seconds of the optimizer and of a pass, and how many times faster that is."""
    rows = []
    for size, comparisons in sizes.items():
        start = next(iter(comparisons[0].optimizer))
        runs = [each.optimizer[start].seconds for each in comparisons]
        slow = [fmean(seconds[min(number, len(seconds) - 1)] for seconds in runs) for number in shown]
        for network in comparisons[0].networks:
            fast = fmean(each.networks[network].seconds for each in comparisons)
            rows.append({"size": size, "network": network, "slow": slow, "fast": fast, "speedup": slow[-1] / fast})
    return rows


def curve_figure(comparison: PhotoComparison) -> Figure:
    """The objective and its terms against iterations, networks as lines across (Johnson et al. 2016, figure 5)."""
    figure = Figure((11, 3.4), layout="constrained")
    networks = comparison.networks
    for axes, (index, term) in zip(figure.subplots(1, 4), enumerate(LossTerms._fields), strict=True):
        for start, run in comparison.optimizer.items():
            values = [terms[index] for terms in run.terms]
            axes.plot(range(1, len(values)), values[1:], color=COLORS[start], label=f"optimizer {START_LABELS[start]}")
        for line, (name, result) in zip(NETWORK_STYLES * len(networks), networks.items(), strict=False):
            axes.axhline(result.terms[index], color="tab:red", linestyle=line, label=f"network {name}")
        axes.axhline(comparison.own[index], color="0.6", linestyle=":", label="the photograph itself")
        axes.set(title={"total": "objective", "tv": "total variation"}.get(term, term), xlabel="iterations")
        axes.set_xscale("log")
        if term == "total":
            axes.set_yscale("log")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_uri(figure: Figure) -> str:
    """A figure as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encoded(figure, 110)).decode()}"


def picture_uri(picture: Tensor) -> str:
    """A picture, (1, 3, H, W) in [0, 1], as an address that holds it."""
    file = io.BytesIO()
    to_image(picture[0]).save(file, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
