"""Codes by place: how boldly, and like which paintings, a picture is painted where."""

import os
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from allaprima.media.images import open_upright
from allaprima.networks.base import TransformationNetwork

AnyMap = float | Tensor | np.ndarray | Image.Image | str | os.PathLike[str]

FEATHER = 1 / 32  # of the short side, over which an edge is blurred


def as_map(value: AnyMap | None, size: tuple[int, int], most: float = 1) -> Tensor | float:
    """A value for each place of a picture: a number as it is, 1 for None, or a map (H, W), its edges feathered.

    Args:
        value: a number; or the path of a picture file, a Pillow image of any mode, a tensor or an array, (h, w), of
            bytes or in [0, most], of which white is 1.
        size: H and W.
        most: the largest number.

    Raises:
        FileError: there is no such picture file, or it cannot be read.
        ValueError: a shape, or a value, out of its range.
    """
    if value is None or isinstance(value, int | float):
        if value is not None and not 0 <= value <= most:
            raise ValueError(f"{value}: give a number from 0 to {most}")
        return 1.0 if value is None else float(value)
    if isinstance(value, str | os.PathLike):
        value = open_upright(value)
    if isinstance(value, Image.Image):
        value = np.asarray(value.convert("L"))
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.array(value))
    if value.ndim != 2 or not value.numel():
        raise ValueError(f"a map of {tuple(value.shape)}: give (H, W)")
    value = value.float() / 255 if value.dtype == torch.uint8 else value.float()
    if not 0 <= value.min() <= value.max() <= most:
        raise ValueError(f"a map from {value.min():g} to {value.max():g}: give values in [0, {most}]")
    return feathered(F.interpolate(value[None, None], size, mode="bilinear", antialias=True)[0, 0].clamp(0, most))


def feathered(values: Tensor) -> Tensor:
    """A map, (H, W), with its edges blurred over `FEATHER`."""
    radius = round(FEATHER * min(values.shape))
    if not radius:
        return values
    wider = F.pad(values[None, None], (radius,) * 4, mode="replicate")
    return gaussian_blur(wider, 2 * radius + 1)[0, 0, radius:-radius, radius:-radius]


def mixed_codes(
    network: TransformationNetwork, blend: Mapping[str, float | Tensor], boldness: float | Tensor
) -> tuple[Tensor, Tensor | None]:
    """The code for a blend of paintings and a boldness, (K,); or several, (R, K), and the share of each by place.

    Args:
        network: whose codes they are.
        blend: shares of its paintings, by name, whose sum is 1: numbers or maps, (H, W).
        boldness: a number or a map, (H, W), see `TransformationNetwork.code`.
    """
    if not any(isinstance(value, Tensor) for value in (*blend.values(), boldness)):
        return network.code(blend, boldness), None
    codes, shares = [], []
    for name, share in blend.items():
        for level, of_level in ((0, 1 - boldness), (1, boldness)) if network.levels == 2 else ((0, 1.0),):
            codes.append(network.code(name, level))
            shares.append(share * of_level)
    size = next(share.shape for share in shares if isinstance(share, Tensor))
    return torch.stack(codes), torch.stack([torch.as_tensor(share).expand(size) for share in shares])


def across(names: list[str], size: tuple[int, int], down: bool) -> dict[str, Tensor]:
    """A blend from the first painting at the left, or at the top, to the last one: maps of a `size`, (H, W)."""
    place = torch.linspace(0, len(names) - 1, size[0 if down else 1])
    tents = [(1 - (place - number).abs()).clamp(min=0) for number in range(len(names))]
    return {name: (tent[:, None] if down else tent[None]).expand(size) for name, tent in zip(names, tents, strict=True)}
