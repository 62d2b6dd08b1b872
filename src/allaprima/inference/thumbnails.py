"""Small pictures to choose a painting by: a packaged photograph, as each network paints it."""

import functools

import torch
from PIL import Image
from torch import Tensor

from allaprima.media.bundled import packaged_photos
from allaprima.media.images import at_short_side, read_photo, to_image
from allaprima.networks.base import TransformationNetwork

SAMPLE = "skimage/data/coffee.png"  # Rachel Michetti's photograph, CC0
SAMPLE_SIDE = 400  # pixels on the short side
THUMBNAIL_SIDE = 120  # the same


@functools.cache
def sample_photo() -> Tensor:
    """The photograph, (1, 3, H, W) in [0, 1]."""
    (path,) = packaged_photos([SAMPLE])
    return read_photo(path, SAMPLE_SIDE)


@torch.no_grad()
def thumbnail(network: TransformationNetwork, code: Tensor) -> Image.Image:
    """The photograph as a network paints it with a code, (K,)."""
    return to_image(at_short_side(network(sample_photo(), code), THUMBNAIL_SIDE)[0])
