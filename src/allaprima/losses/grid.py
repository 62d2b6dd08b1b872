"""A term against grids: what repeats from cell to cell of a network's output."""

import torch.nn.functional as F
from torch import Tensor

from allaprima.networks.blocks import CELL

NEIGHBOURS = 6  # cells a side, of which the mean is taken


def grid_energy(images: Tensor) -> Tensor:
    """Energy of the detail that neighbouring cells of `CELL` x `CELL` pixels have in common.

    A network that paints whole cells at once tends to fill even places with a pattern of that period. It gives Gram
    matrices the energy they ask for, and the content layer does not see it. Texture differs from cell to cell and all
    but vanishes in a mean over cells; a pattern stays. Smooth changes are taken out beforehand, with a filter that has
    none of the pattern's frequencies. (B, 3, H, W), H and W at least 32, to (B,): squared units of `images`, the mean
    over channels, positions in the cell, and places.
    """
    height, width = (side - side % CELL for side in images.shape[-2:])
    images = images[..., :height, :width].contiguous()  # in channels_last this takes 1.6 times as long
    smooth = F.avg_pool2d(F.avg_pool2d(images, CELL, stride=1), CELL, stride=1)
    border = CELL - 1  # that these two means take away on each side; one more makes whole cells
    detail = (images[..., border:-border, border:-border] - smooth)[..., 1:-1, 1:-1]
    common = F.avg_pool2d(F.pixel_unshuffle(detail, CELL), NEIGHBOURS, stride=NEIGHBOURS // 2)
    return common.square().mean((1, 2, 3))
