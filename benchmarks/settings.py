"""The settings of a benchmark: those of training, and what is measured."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from allaprima.commands.train import TrainSettings
from allaprima.limits import SMALLEST_SIDE, PositiveInt, Side, Sides, Text, Texts, at_most

VIDEO = {"720p": (720, 1280), "1080p": (1080, 1920)}


def picture_size(size: Any) -> Any:
    """A side in pixels, or a video's height. Raises ValueError for anything else."""
    if not ((isinstance(size, str) and size in VIDEO) or (type(size) is int and SMALLEST_SIDE <= size <= 8192)):
        raise ValueError(f"give a side of 32 pixels or more, or {' or '.join(VIDEO)}")
    return size


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The group `benchmark`: what `configs/benchmark/NAME.yaml` describes; the others are None."""

    name: str
    rounds: Annotated[PositiveInt, at_most(1000, "they would take months")] | None = None
    runs: PositiveInt | None = None
    steps: PositiveInt | None = None
    size: Side | None = None
    sizes: Sides | None = None
    style_size: Side | None = None
    scales: Sides | None = None
    iterations: PositiveInt | None = None
    evaluations: Annotated[PositiveInt, Field(ge=2)] | None = None
    networks: Texts | None = None
    photos: Text | None = None
    clip: Text | None = None
    frames: Annotated[PositiveInt, Field(ge=2)] | None = None
    smooth: list[Annotated[float, Field(ge=0, le=0.95)]] | None = None
    batch_size: PositiveInt | None = None
    baseline_steps: PositiveInt | None = None
    baseline_every: PositiveInt | None = None
    margin: Annotated[int, Field(ge=0, le=512, multiple_of=2)] | None = None
    output: Text | None = None


OPTIONAL = {"networks", "photos", "clip"}  # None of these stands for what is bundled


def check_given(values: Any) -> Any:
    """The values themselves. Raises ValueError where one is null that a benchmark needs."""
    if missing := [name for name, value in values.items() if value is None and name not in OPTIONAL]:
        raise ValueError(f"benchmark.{missing[0]}=null: give a value")
    return values


def check_baseline_sizes(measurement: Measurement) -> Measurement:
    """The measurement itself. Raises ValueError unless the baseline network can paint pictures of its sizes."""
    if measurement.name == "quality" and any(side % 4 for side in (measurement.size, *measurement.sizes)):
        raise ValueError("benchmark.size and benchmark.sizes: give a multiple of 4, as the baseline needs it")
    return measurement


class BenchmarkSettings(TrainSettings):
    """`configs/benchmark.yaml`."""

    benchmark: Annotated[Measurement, BeforeValidator(check_given), AfterValidator(check_baseline_sizes)]
    sizes: Annotated[list[Annotated[Any, BeforeValidator(picture_size)]], Field(min_length=1)] | None = None
    contenders: Texts | None = None
