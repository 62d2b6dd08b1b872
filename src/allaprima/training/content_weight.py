"""The content weight, led step by step so that the content distance stays where it should be."""

import math

# How fast the weight moves, and over how many steps the content distance is averaged.
GAIN, STEPS = 0.05, 20


def updated_mean(mean: float, content: float) -> float:
    """The moving average of the content distance after one step more."""
    return mean + (content - mean) / STEPS


def adjusted_weight(weight: float, mean: float, distance: float) -> float:
    """The content weight of the next step: larger where the content distance is too large on average, and smaller.

    One weight would keep a face in one painting and lose it in another; one distance means the same for all.

    Args:
        weight: of this step.
        mean: of the content distance over the last steps.
        distance: where it should be.
    """
    return weight * math.exp(GAIN * min(1.0, max(-1.0, mean / distance - 1)))
