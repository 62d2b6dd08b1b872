"""The optimizer's settings, and its learning rate over the steps."""

import math
from dataclasses import dataclass

from allaprima.limits import NonNegative, NonNegativeInt, UnitInterval


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam's learning rate over the steps, and the moving average of the weights, which is validated and kept."""

    learning_rate: NonNegative = 1e-3  # at its height
    code_rate: NonNegative = 12.0  # of the codes, in multiples of the others'
    warmup_steps: NonNegativeInt = 20  # over which it rises from nothing
    decay_share: UnitInterval = 0.3  # last part of the steps, 0 to 1, over which it falls along a cosine to nothing
    ema_decay: UnitInterval = 0.98  # of the moving average, see `EMA`


def learning_rate_factor(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Of the learning rate at a step, from 0: a linear rise, a plateau, and half a cosine down to nothing."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    left = (steps - step) / max(1, settings.decay_share * steps)
    return 0.5 * (1 - math.cos(math.pi * min(1, left)))
