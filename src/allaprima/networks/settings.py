"""The settings of a network: which one, and how large."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict

from allaprima.limits import NonNegativeInt, PositiveInt, UnitInterval, at_most

Width = Annotated[PositiveInt, at_most(1024, "a step would take minutes")]


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """How a network is built."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    name: Literal["johnson", "realtime"] = "johnson"  # of the architecture
    # Of `johnson`, channels after the first convolution, twice and four times as many after the two that halve the
    # size; of `realtime`, channels between the residual blocks.
    width: Width = 32
    # Residual blocks, at a quarter of the size.
    blocks: Annotated[NonNegativeInt, at_most(256, "a step would take minutes")] = 5
    # Of `realtime`, channels within each block, between its two convolutions; None is as many as `width`.
    hidden: Width | None = None
    input_noise: UnitInterval = 0.1  # standard deviation of the noise on photographs in training, see `InputNoise`
    painting_noise: UnitInterval = 0.05  # the same in painting
