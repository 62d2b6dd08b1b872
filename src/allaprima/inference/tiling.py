"""Pictures of any size in little memory: tile by tile, with instance norms that belong to the whole picture.

A tile normalized by its own mean and variance would have a contrast of its own, and its borders would show. So all
tiles have the same statistics: those of patches from everywhere in the picture, which the network sees at once and
normalizes together. A thumbnail (Chen et al. 2021, arXiv 2103.11784) would be cheaper, but its strokes are others.
"""

import copy
import itertools
import math
import threading
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from allaprima.hardware import fastest_precision
from allaprima.media.images import as_bytes, as_floats
from allaprima.networks.base import SPARE, TransformationNetwork, reflected
from allaprima.networks.blocks import CELL, InstanceNorm, Pass

TILE = 768  # pixels a side at most
OVERLAP = 64  # pixels around a tile that the network sees as well; what is farther away hardly matters to a pixel
PATCH = 128  # pixels a side: small and many, since neighbours are alike
PATCHES = 120


class Span(NamedTuple):
    """A tile along one axis, in pixels of the picture with its margin: its own, and with its overlap what it sees."""

    first: int
    start: int
    stop: int
    last: int


def spans(side: int) -> list[Span]:
    """The tiles along one axis of `side` pixels, a multiple of `CELL`; none is much smaller than the others."""
    size = CELL * math.ceil(side / math.ceil(side / TILE) / CELL)
    tiles = [(start, min(side, start + size)) for start in range(0, side, size)]
    return [Span(max(0, start - OVERLAP), start, stop, min(side, stop + OVERLAP)) for start, stop in tiles]


class SharedNorm(InstanceNorm):
    """A norm by the statistics of the batch that it saw last while `learning`."""

    def __init__(self, norm: InstanceNorm) -> None:
        super().__init__(norm.channels, norm.cell)
        self.first = norm.first
        self.learning = True

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, h, w) to the same."""
        if self.learning:
            # One by one, since all at once in float32 would be the most memory that a large picture takes.
            # Without its border, where a patch is padded as no whole picture is.
            border = x.shape[-1] // 8
            inner = x[..., border:-border, border:-border]
            each = [torch.var_mean(patch.float(), (0, 2, 3), correction=0) for patch in inner.split(1)]
            variances, means = (torch.stack(statistics) for statistics in zip(*each, strict=True))
            self.mean = means.mean(0)
            self.variance = (variances + (means - self.mean).square()).mean(0)
        scale, shift = self.scale_and_shift(x, how)
        if scale.ndim == 1:
            return F.batch_norm(x, self.mean, self.variance, scale, shift)
        return torch.addcmul(shift, F.batch_norm(x, self.mean, self.variance), scale)


def corners(height: int, width: int) -> list[tuple[int, int]]:
    """Row and column of patches, one somewhere in every field of a grid: multiples of `CELL`.

    They count from half a patch outside the picture, so that its borders are in as many patches as its middle.
    """
    rows = min(PATCHES, max(1, round(math.sqrt(PATCHES * height / width))))
    columns = max(1, PATCHES // rows)
    fields = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2)
    places = (fields + np.random.default_rng(0).random(fields.shape)) / [rows, columns] * [height, width]
    return [tuple(place) for place in (places.astype(int) // CELL * CELL).tolist()]


class Tiles:
    """Paints pictures tile by tile, on one of PyTorch's devices."""

    def __init__(self, network: TransformationNetwork, device: str) -> None:
        self.network = copy.deepcopy(network).to(device, memory_format=torch.channels_last)
        self.device = device
        self.lock = threading.Lock()  # one picture's statistics at a time
        self.norms = []
        for module in list(self.network.modules()):
            for name, child in module.named_children():
                if isinstance(child, InstanceNorm):
                    self.norms.append(SharedNorm(child))
                    setattr(module, name, self.norms[-1])

    @torch.no_grad()
    def __call__(self, photo: Tensor, code: Tensor, shares: Tensor | None = None) -> Tensor:
        """Paint (3, H, W), bytes or float32 in [0, 1]: the same. Memory grows with the photograph's pixels alone.

        By a code, (K,), or several, (R, K), with their shares, (R, H, W), see `TransformationNetwork.forward`.
        """
        margin = self.network.margin
        native = fastest_precision(self.device) == "bf16-mixed"
        height, width = photo.shape[-2:]
        rows, columns = (reflected(side, margin) for side in (height, width))
        with torch.autocast(self.device, torch.bfloat16, enabled=native), self.lock:
            wide = at(photo, rows, columns)
            how = Pass(
                torch.atleast_2d(code).to(self.device), shares=shares if shares is None else at(shares, rows, columns)
            )
            painted = torch.empty_like(wide)
            self._learn(wide, how)
            for tile in itertools.product(spans(len(rows)), spans(len(columns))):
                self._paint(wide, painted, how, tile)
        return painted[:, margin : margin + height, margin : margin + width]

    def _learn(self, wide: Tensor, how: Pass) -> None:
        for norm in self.norms:
            norm.learning = True
        height, width = wide.shape[-2:]
        rows, columns = (reflected(side, PATCH // 2) for side in (height, width))
        patches, shares = [], []
        for row, column in corners(height, width):
            place = rows[row : row + PATCH], columns[column : column + PATCH]
            corner = row - PATCH // 2, column - PATCH // 2
            patches.append(self.network.noisy(self._floats(at(wide, *place)), corner=corner))
            if how.shares is not None:
                shares.append(at(how.shares, *place).to(self.device))
        self.network.layers(torch.cat(patches), how._replace(shares=torch.stack(shares) if shares else None))
        for norm in self.norms:
            norm.learning = False

    def _floats(self, pixels: Tensor) -> Tensor:
        return as_floats(pixels.to(self.device))[None]

    def _paint(self, wide: Tensor, painted: Tensor, how: Pass, tile: tuple[Span, Span]) -> None:
        rows, columns = (slice(span.first, span.last) for span in tile)
        if how.shares is not None:
            how = how._replace(shares=how.shares[None, :, rows, columns].to(self.device))
        result = self.network.with_margin(self._floats(wide[:, rows, columns]), how, (rows.start, columns.start))[0]
        cut = self.network.margin - CELL * SPARE  # which the result lacks on each side
        own = [(max(span.start, span.first + cut), min(span.stop, span.last - cut)) for span in tile]
        in_picture = tuple(slice(start, stop) for start, stop in own)
        firsts = [span.first + cut for span in tile]
        in_result = tuple(slice(start - first, stop - first) for (start, stop), first in zip(own, firsts, strict=True))
        result = result[:, *in_result]
        painted[:, *in_picture] = as_bytes(result) if painted.dtype == torch.uint8 else result


def at(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The rows and columns of a picture, (C, H, W), by their indices."""
    return picture.index_select(1, rows).index_select(2, columns)
