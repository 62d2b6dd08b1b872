"""Blocks that the networks share: padded convolutions, instance norm, input noise, residual and resize blocks.

What a pass through all of them has in common, `Pass`, goes from layer to layer.

They read as the papers do; how they are computed fast on a processor is in `networks.fast`.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allaprima.networks.fast import doubled_conv, few_channel_conv, instance_norm, padded

CELL = 4  # pixels; the residual blocks of both networks work at a quarter of the size
NOISE_TILE = 256  # pixels a side


class Pass(NamedTuple):
    """How a batch goes through the layers.

    A network knows how to paint; what it paints like is its code, the scales and shifts of all its instance norms
    (conditional instance norm: Dumoulin, Shlens, Kudlur 2017).
    """

    codes: Tensor  # (1, K), (B, K) for one of each picture's own, or (R, K) to be mixed by `shares`
    circular: bool = False  # all padding is (see `TransformationNetwork`)
    shares: Tensor | None = None  # (1 or B, R, H, W), of each code at each pixel, with the margin; sums are 1


class InstanceNorm(nn.Module):
    """Instance norm (Ulyanov et al. 2016): (B, C, H, W) to the same, scaled and shifted as the pass's code says.

    Args:
        channels: C.
        cell: pixels a side of a position.
    """

    first = 0  # where in a code its C scales begin, and after them its C shifts

    def __init__(self, channels: int, cell: int) -> None:
        super().__init__()
        self.channels = channels
        self.cell = cell

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W) to the same."""
        return instance_norm(x, *self.scale_and_shift(x, how))

    def scale_and_shift(self, x: Tensor, how: Pass) -> tuple[Tensor, Tensor]:
        """Both (C,), or (B, C, 1, 1), or mixed place by place (1 or B, C, H, W)."""
        middle = self.first + self.channels
        both = how.codes[:, self.first : middle], how.codes[:, middle : middle + self.channels]
        if how.shares is not None:
            shares = at_cells(how.shares, self.cell, x.shape[2:])
            return tuple(torch.einsum("rc,brhw->bchw", each, shares).to(x.dtype) for each in both)
        if len(how.codes) == 1:
            return both[0][0], both[1][0]
        return tuple(each[..., None, None].to(x.dtype) for each in both)


def at_cells(shares: Tensor, cell: int, size: torch.Size) -> Tensor:
    """(B, R, H, W) by pixels to (B, R, h, w), a `size` in cells of that many pixels, cut off alike on all sides."""
    rows, columns = ((pixels // cell - kept) // 2 for pixels, kept in zip(shares.shape[2:], size, strict=True))
    return F.avg_pool2d(shares, cell)[..., rows : rows + size[0], columns : columns + size[1]]


class InputNoise(nn.Module):
    """Adds input noise, as Ulyanov et al. (2016, "Texture Networks") give their networks: (B, 3, H, W) to the same.

    The style term wants brush work in even places too. A network that has no chance to draw on can only repeat itself
    there, which gives grids of dots. In training the noise is new each time, since a network learns to know one that
    is not, and paints the same wave at the same place of every photograph. In painting it is a tile with its place in
    the picture: a photograph is always painted the same way, and a video's still parts stay still. Its standard
    deviation in painting may be less than in training, which keeps more of the photograph.
    """

    def __init__(self, training: float, painting: float) -> None:
        super().__init__()
        self.training_std = training
        self.painting_std = painting
        # The old generator, since NumPy promises for it alone that a seed gives the same numbers for ever.
        noise = np.random.RandomState(0).standard_normal((3, NOISE_TILE, NOISE_TILE))
        self.register_buffer("tile", torch.from_numpy(noise).float(), persistent=False)

    def forward(self, photos: Tensor, training: bool, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """(B, 3, H, W) to the same; `corner`: row and column of its first pixel in the picture that it is of."""
        if not (self.training_std if training else self.painting_std):
            return photos
        if training:
            return photos + self.training_std * torch.randn_like(photos)
        rows, columns = (
            torch.arange(first, first + side, device=photos.device) % NOISE_TILE
            for first, side in zip(corner, photos.shape[-2:], strict=True)
        )
        return photos + self.painting_std * self.tile.index_select(1, rows).index_select(2, columns)


class Layers(nn.Sequential):
    """Layers one after another; those of this file, `OWN`, are told how."""

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W) through all layers."""
        for layer in self:
            x = layer(x, how) if isinstance(layer, OWN) else layer(x)
        return x


class PaddedConv(nn.Conv2d):
    """A convolution that keeps the size, but for its stride: (B, C, H, W) to (B, D, H/stride, W/stride).

    The padding is circular, or else a reflection.
    """

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W) to (B, D, H/stride, W/stride)."""
        return F.conv2d(padded(x, self.kernel_size[0] // 2, how.circular), self.weight, self.bias, self.stride)


class ConvNorm(Layers):
    """Convolution, then instance norm: (B, C, H, W) to (B, D, H/stride, W/stride).

    `cell`: pixels a side of a position, after the convolution.
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, cell: int, stride: int = 1) -> None:
        super().__init__(
            PaddedConv(channels, out_channels, kernel, stride, bias=False), InstanceNorm(out_channels, cell)
        )


class Residual(nn.Module):
    """x + f(x), f of two 3x3 convolutions (He et al. 2016), nothing after the sum (Gross and Wilber 2016).

    Unless padding is circular the second takes none, so that a position is lost on each side: a margin that is to be
    cut off (see `TransformationNetwork`) costs less and less from block to block. In Johnson et al. (2016, supplement)
    neither takes any. There are `hidden` channels between the two convolutions, and a position is a cell of `CELL`
    pixels a side.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.body = Layers(
            ConvNorm(channels, hidden, 3, CELL), nn.ReLU(inplace=True), ConvNorm(hidden, channels, 3, CELL)
        )

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W) to the same with circular padding, else to (B, C, H - 2, W - 2)."""
        if how.circular:
            return x + self.body(x, how)
        first, rectifier, (second, norm) = self.body
        return x[..., 1:-1, 1:-1] + norm(F.conv2d(rectifier(first(x, how)), second.weight), how)


class ResizeConv(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution: no checkerboard (Odena et al. 2016).

    The doubled picture's reflection is the low resolution's replication. Padded like `PaddedConv`.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(channels, out_channels, 3, bias=False).weight.detach())

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W) to (B, D, 2H, 2W)."""
        wider = padded(x, 1, circular=True) if how.circular else F.pad(x, (1,) * 4, mode="replicate")
        return doubled_conv(wider, self.weight)


class FewChannelConv(nn.Conv2d):
    """`PaddedConv` to few channels: (B, C, H, W) to (B, D, H, W), H and W even."""

    def forward(self, x: Tensor, how: Pass) -> Tensor:
        """(B, C, H, W), H and W even, to (B, D, H, W)."""
        return few_channel_conv(padded(x, self.kernel_size[0] // 2, how.circular), self.weight, self.bias)


OWN = (InstanceNorm, PaddedConv, ConvNorm, Residual, ResizeConv, FewChannelConv)
