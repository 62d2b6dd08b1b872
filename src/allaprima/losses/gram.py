"""Gram matrices: which features occur together, wherever that is."""

import torch
from torch import Tensor


class _GramMatrix(torch.autograd.Function):
    # Autograd would keep and return float32 copies of the largest feature maps there are; the gradient in their own
    # type costs a third of the time and loses nothing, as it is rounded to that type in the end.
    @staticmethod
    def forward(ctx, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        with torch.autocast(features.device.type, enabled=False):
            positions = features.flatten(2).float()
            return positions @ positions.transpose(1, 2) / positions.shape[2]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        positions = features.flatten(2)
        symmetric = (gradient + gradient.transpose(1, 2)) / positions.shape[2]
        # As (H W, C) rows, which is how channels_last stores them.
        rows = positions.transpose(1, 2) @ symmetric.to(features.dtype)
        return rows.transpose(1, 2).unflatten(2, features.shape[2:])


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix over the number of positions: G_ij = 1/(H W) sum_k F_ik F_jk (Gatys et al. 2015, equation 3).

    (B, C, H, W) of any floating type to (B, C, C) float32: sums of half-precision products overflow.
    """
    return _GramMatrix.apply(features)
