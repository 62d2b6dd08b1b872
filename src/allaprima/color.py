"""The term that keeps pastiches from going pale: the mean and covariance of the painting's colours."""

import torch
from torch import Tensor

from allaprima.losses import gram_matrix, squared_distance

LEAST_VARIANCE = 1e-4  # squared units of an image, of all channels: what a picture of one colour is taken to have


def color_statistics(images: Tensor) -> Tensor:
    """Mean and covariance over positions of the channels, which Gatys et al. (2017) match to transfer colours.

    Args:
        images: (B, 3, H, W).

    Returns:
        (B, 4, 3) float32: the mean, then the rows of the covariance.
    """
    mean = images.float().mean((2, 3), keepdim=True)
    return torch.cat([mean.flatten(2).mT, gram_matrix(images - mean)], 1)


def color_distance(images: Tensor, target: Tensor) -> Tensor:
    """How far the colours of pictures are from a painting's, relative to how much these differ among themselves.

    A Gram matrix that a network cannot reach is best approached by one that is too small, that is by pale pictures.
    This term asks for contrast, and leaves it to the others where.

    Args:
        images: (B, 3, H, W).
        target: (4, 3), `color_statistics` of the painting.

    Returns:
        (B,): |m - n|^2 / tr D + |C - D|^2 / |D|^2 for mean m and covariance C, the painting's n and D.
    """
    statistics = color_statistics(images)
    mean = squared_distance(statistics[:, :1], target[:1])
    covariance = squared_distance(statistics[:, 1:], target[1:])
    variance = target[1:].trace().clamp(min=LEAST_VARIANCE)
    return mean / variance + covariance / target[1:].square().sum().clamp(min=LEAST_VARIANCE**2)
