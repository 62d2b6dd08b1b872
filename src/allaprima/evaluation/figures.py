"""Pictures of pictures: their deltas, their Gram matrices, tables of them."""

import io
from collections.abc import Mapping, Sequence

import torch
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import Tensor

from allaprima.losses.perceptual import total_variation
from allaprima.media.images import to_image

CELL_INCHES = 2.6  # inches, the width of a picture in a table
CAPTION = 0.25  # inches
SHAPES = 1 / 3, 3.0  # height over width of a cell, at least and at most


def delta_figure(pictures: Mapping[str, Tensor]) -> Figure:
    """Differences of neighbours, which total variation sums: grey where there is none."""
    figure = Figure((3 * len(pictures), 9.4), layout="constrained")
    grid = figure.subplots(3, len(pictures), squeeze=False)
    for column, (name, picture) in zip(grid.T, pictures.items(), strict=True):
        horizontal = picture[..., :, 1:] - picture[..., :, :-1]
        vertical = picture[..., 1:, :] - picture[..., :-1, :]
        variation = total_variation(picture).item() / picture.numel()
        column[0].set_title(f"{name}\ntv {variation:.3f}", fontsize=10)
        for axes, values in zip(column, (picture, 0.5 + horizontal, 0.5 + vertical), strict=True):
            axes.imshow(to_image(values[0]))
            axes.set(xticks=[], yticks=[])
    for axes, label in zip(grid[:, 0], ("picture", "horizontal deltas", "vertical deltas"), strict=True):
        axes.set_ylabel(label)
    return figure


def gram_figure(layers: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Magnitudes of Gram matrices' entries as heat maps, a row per layer on one logarithmic scale."""
    columns = len(next(iter(layers.values())))
    figure = Figure((3 * columns, 2.9 * len(layers)), layout="constrained")
    grid = figure.subplots(len(layers), columns, squeeze=False)
    for row, (layer, matrices) in zip(grid, layers.items(), strict=True):
        entries = torch.cat([matrix.abs().flatten() for matrix in matrices.values()])
        minimum, maximum = entries[entries > 0].quantile(torch.tensor([0.05, 0.999])).tolist()
        for axes, (name, matrix) in zip(row, matrices.items(), strict=True):
            image = axes.imshow(matrix.abs().clamp(min=minimum).numpy(), norm=LogNorm(minimum, maximum), cmap="magma")
            axes.set(xticks=[], yticks=[])
            if layer == next(iter(layers)):
                axes.set_title(name, fontsize=10)
        row[0].set_ylabel(layer)
        figure.colorbar(image, ax=list(row))
    return figure


def picture_table(rows: Sequence[tuple[str, Mapping[str, Tensor]]]) -> Figure:
    """Rows of pictures, (1, 3, H, W) in [0, 1] by caption, each with its label; cells have the pictures' shape."""
    columns = max(len(row) for _, row in rows)
    tallest = max(picture.shape[-2] / picture.shape[-1] for _, row in rows for picture in row.values())
    height = CELL_INCHES * min(max(tallest, SHAPES[0]), SHAPES[1]) + CAPTION
    figure = Figure((CELL_INCHES * columns, height * len(rows)), layout="constrained")
    for axes_row, (label, row) in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for axes in axes_row:
            axes.set(xticks=[], yticks=[], frame_on=False)
        for axes, (name, picture) in zip(axes_row, row.items(), strict=False):
            axes.imshow(to_image(picture[0]))
            axes.set_title(name, fontsize=9)
        axes_row[0].set_ylabel(label, fontsize=9)
    return figure


def contact_sheet(pictures: Mapping[str, Tensor], columns: int) -> Figure:
    """A table of pictures, (1, 3, H, W) in [0, 1], with their captions."""
    cells = list(pictures.items())
    return picture_table([("", dict(cells[first : first + columns])) for first in range(0, len(cells), columns)])


def encoded(figure: Figure, dots_per_inch: int, kind: str = "png") -> bytes:
    """A figure as a file's content, png or jpeg."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=dots_per_inch)
    return file.getvalue()
