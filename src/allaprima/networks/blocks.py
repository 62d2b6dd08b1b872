"""Blocks that the networks share: padded convolutions, instance norm, grain, residual and resize blocks."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRAIN_TILE = 256  # pixels a side


class _Wrapped(torch.autograd.Function):
    # What F.pad(mode="circular") computes, in channels_last, which makes it five times as fast on a processor.
    @staticmethod
    def forward(ctx, x: Tensor, border: int) -> Tensor:
        ctx.border = border
        height, width = x.shape[2:]
        shape = (*x.shape[:2], height + 2 * border, width + 2 * border)
        y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        inner = y[:, :, border:-border]
        inner[..., border:-border] = x
        inner[..., :border], inner[..., -border:] = x[..., -border:], x[..., :border]
        y[:, :, :border], y[:, :, -border:] = inner[:, :, -border:], inner[:, :, :border]
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        border = ctx.border
        rows = gradient[:, :, border:-border].clone(memory_format=torch.channels_last)
        rows[:, :, -border:] += gradient[:, :, :border]
        rows[:, :, :border] += gradient[:, :, -border:]
        inner = rows[..., border:-border].clone(memory_format=torch.channels_last)
        inner[..., -border:] += rows[..., :border]
        inner[..., :border] += rows[..., -border:]
        return inner, None


def padded(x: Tensor, border: int, wrapped: bool) -> Tensor:
    """(B, C, H, W) to (B, C, H + 2 border, W + 2 border): from the opposite side if wrapped, else reflected."""
    return _Wrapped.apply(x, border) if wrapped else F.pad(x, (border,) * 4, mode="reflect")


class InstanceNorm(nn.Module):
    """Instance norm (Ulyanov et al. 2016) with scale and shift: (B, C, H, W) to the same.

    What nn.InstanceNorm2d(C, affine=True) computes, as batch norm of one image at a time: on a processor that keeps
    channels_last, where PyTorch's own instance norm converts to contiguous and the next convolution back.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        recorded = torch.compiler.is_exporting() or torch.jit.is_tracing()  # for an engine, which has its own
        if x.is_cuda or recorded:
            return F.instance_norm(x, weight=self.weight, bias=self.bias)
        normed = [F.batch_norm(image, None, None, self.weight, self.bias, training=True) for image in x.split(1)]
        return torch.cat(normed)


class Grain(nn.Module):
    """Adds a noise, as Ulyanov et al. (2016, "Texture Networks") give their networks: (B, 3, H, W) to the same.

    The style term wants brush work in even places too. A network that has no chance to draw on can only repeat itself
    there, which gives grids of dots. In training the noise is new each time, since a network learns to know one that
    is not, and paints the same wave at the same place of every photograph. In painting it is a tile with its place in
    the picture: a photograph is always painted the same way, and a video's still parts stay still.

    Args:
        training: standard deviation in training mode, in the photographs' units.
        painting: the same in evaluation mode; less than in training keeps more of the photograph.
    """

    def __init__(self, training: float, painting: float) -> None:
        super().__init__()
        self.training_strength, self.painting_strength = training, painting
        # The old generator, since NumPy promises for it alone that a seed gives the same numbers for ever.
        noise = np.random.RandomState(0).standard_normal((3, GRAIN_TILE, GRAIN_TILE))
        self.register_buffer("tile", torch.from_numpy(noise).float(), persistent=False)

    def forward(self, photos: Tensor) -> Tensor:
        """(B, 3, H, W) to the same."""
        if self.training:
            return photos + self.training_strength * torch.randn_like(photos)
        rows, columns = (torch.arange(side, device=photos.device) % GRAIN_TILE for side in photos.shape[-2:])
        return photos + self.painting_strength * self.tile.index_select(1, rows).index_select(2, columns)


class PaddedConv(nn.Conv2d):
    """A convolution that keeps the size, but for its stride: (B, C, H, W) to (B, D, H/stride, W/stride).

    In training it takes its padding from the picture's opposite side, as of a torus, in painting by reflection (see
    `Painter`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H/stride, W/stride)."""
        return F.conv2d(padded(x, self.kernel_size[0] // 2, self.training), self.weight, self.bias, self.stride)


class ConvNorm(nn.Sequential):
    """Convolution, then instance norm: (B, C, H, W) to (B, D, H/stride, W/stride)."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            PaddedConv(channels, out_channels, kernel, stride, bias=False),
            InstanceNorm(out_channels),
        )


class Residual(nn.Module):
    """x + f(x), f of two 3x3 convolutions (He et al. 2016), nothing after the sum (Gross and Wilber 2016).

    In painting the second takes no padding, so that a position is lost on each side: a margin that is to be cut off
    (see `Painter`) costs less and less from block to block. In Johnson et al. (2016, supplement) neither takes any.

    Args:
        channels: of x.
        hidden: channels between the two convolutions.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ConvNorm(channels, hidden, 3), nn.ReLU(inplace=True), ConvNorm(hidden, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same in training, to (B, C, H - 2, W - 2) in painting."""
        if self.training:
            return x + self.body(x)
        first, rectifier, (second, norm) = self.body
        return x[..., 1:-1, 1:-1] + norm(F.conv2d(rectifier(first(x)), second.weight))


class ResizeConv(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution: no checkerboard (Odena et al. 2016).

    Doubling is a transposed convolution with a 2x2 kernel of ones, so both together are one with a 4x4 kernel: 4
    multiply-adds for 9, no doubled copy. The doubled picture's reflection is the low resolution's replication. Padded
    like `PaddedConv`.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv2d(channels, out_channels, 3, bias=False).weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, 2H, 2W)."""
        kernel = F.pad(self.weight.flip(2, 3), (1,) * 4)
        kernel = kernel[:, :, 1:] + kernel[:, :, :-1]
        kernel = (kernel[..., 1:] + kernel[..., :-1]).transpose(0, 1).contiguous(memory_format=torch.channels_last)
        wider = padded(x, 1, wrapped=True) if self.training else F.pad(x, (1,) * 4, mode="replicate")
        return F.conv_transpose2d(wider, kernel, stride=2, padding=3)


class FewChannelConv(nn.Conv2d):
    """`PaddedConv` to few channels: (B, C, H, W) to (B, D, H, W), H and W even.

    Processors compute 16 or 32 channels at once, of which a picture's three leave most idle. So the four pixels of
    each 2x2 cell are computed together, as 4 D channels of one strided convolution whose window sees them all.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W), H and W even, to (B, D, H, W)."""
        border = self.kernel_size[0] // 2
        shifted = [F.pad(self.weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
        kernels = torch.stack(shifted, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        wider = padded(x, border, self.training)
        cells = F.conv2d(wider, kernels, self.bias.repeat_interleave(4), stride=2)
        return F.pixel_shuffle(cells, 2)
