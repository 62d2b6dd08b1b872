"""The operations of the blocks as a processor computes them fastest; each gives what its plain form does."""

import torch
import torch.nn.functional as F
from torch import Tensor


class _CircularPad(torch.autograd.Function):
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


def padded(x: Tensor, border: int, circular: bool) -> Tensor:
    """(B, C, H, W) to (B, C, H + 2 border, W + 2 border): from the opposite side if circular, else reflected."""
    return _CircularPad.apply(x, border) if circular else F.pad(x, (border,) * 4, mode="reflect")


def instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """F.instance_norm, (B, C, H, W) to the same, with a scale and a shift: both (C,), or of a shape to broadcast.

    As batch norm of one image at a time: that keeps channels_last, where PyTorch's own instance norm converts to
    contiguous and the next convolution back.
    """
    affine = (scale, shift) if scale.ndim == 1 else (None, None)
    recorded = torch.compiler.is_exporting() or torch.jit.is_tracing()  # for an engine, which has its own
    if x.is_cuda or recorded:
        y = F.instance_norm(x, weight=affine[0], bias=affine[1])
    else:
        y = torch.cat([F.batch_norm(image, None, None, *affine, training=True) for image in x.split(1)])
    return y if scale.ndim == 1 else torch.addcmul(shift, y, scale)


def doubled_conv(padded: Tensor, weight: Tensor) -> Tensor:
    """Nearest-neighbour doubling, then a convolution with a 3x3 `weight`: (B, C, H + 2, W + 2) to (B, D, 2H, 2W).

    Doubling is a transposed convolution with a 2x2 kernel of ones, so both together are one with a 4x4 kernel: 4
    multiply-adds for 9, no doubled copy.
    """
    kernel = F.pad(weight.flip(2, 3), (1,) * 4)
    kernel = kernel[:, :, 1:] + kernel[:, :, :-1]
    kernel = (kernel[..., 1:] + kernel[..., :-1]).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    return F.conv_transpose2d(padded, kernel, stride=2, padding=3)


def few_channel_conv(padded: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution to few channels, (B, C, H + K - 1, W + K - 1) to (B, D, H, W), H and W even, for (D, C, K, K).

    Processors compute 16 or 32 channels at once, of which a picture's three leave most idle. So the four pixels of
    each 2x2 cell are computed together, as 4 D channels of one strided convolution whose window sees them all.
    """
    shifted = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    kernels = torch.stack(shifted, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return F.pixel_shuffle(F.conv2d(padded, kernels, bias.repeat_interleave(4), stride=2), 2)
