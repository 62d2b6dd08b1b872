"""The settings of each benchmark: those of training, and what is measured."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from allaprima.commands.settings import Settings, Side, Sides, Smooth, Text, Texts, Whole, at_most, increasing
from allaprima.commands.train import TrainSettings

VIDEO = {"720p": (720, 1280), "1080p": (1080, 1920)}
Rounds = Annotated[Whole, at_most(1000, "they would take months")]


def multiple_of_4(side: int) -> int:
    """The side itself. Raises ValueError unless the baseline network can paint it."""
    if side % 4:
        raise ValueError("give a multiple of 4, as the baseline needs it")
    return side


def picture_size(size: Any) -> Any:
    """A side in pixels, or a video's height. Raises ValueError for anything else."""
    if size not in VIDEO and not (type(size) is int and 32 <= size <= 8192):
        raise ValueError(f"give a side of 32 pixels or more, or {' or '.join(VIDEO)}")
    return size


Fourth = Annotated[Side, AfterValidator(multiple_of_4)]


class Measurement(Settings):
    """The group `benchmark` where there are rounds."""

    name: str
    rounds: Rounds


class TrainMeasurement(Measurement):
    """`configs/benchmark/train.yaml`."""

    steps: Whole


class OptimizeMeasurement(Measurement):
    """`configs/benchmark/optimize.yaml`."""

    size: Side
    evaluations: Annotated[Whole, Field(ge=2)]


class InferMeasurement(Measurement):
    """`configs/benchmark/infer.yaml`."""

    runs: Whole


class TradeoffMeasurement(Measurement):
    """`configs/benchmark/tradeoff.yaml`."""

    networks: Texts | None
    size: Side
    runs: Whole
    output: Text


class ScalesMeasurement(Settings):
    """`configs/benchmark/scales.yaml`."""

    name: str
    scales: Sides
    iterations: Whole


class NetworksMeasurement(Settings):
    """`configs/benchmark/networks.yaml`."""

    name: str
    networks: Texts | None
    photos: Text | None
    size: Side
    style_size: Side


class FlickerMeasurement(Settings):
    """`configs/benchmark/flicker.yaml`."""

    name: str
    networks: Texts | None
    photos: Text | None
    clip: Text | None
    size: Side
    frames: Annotated[Whole, Field(ge=2)]
    smooth: Annotated[list[Smooth], Field(min_length=1)]


class QualityMeasurement(Settings):
    """`configs/benchmark/quality.yaml`."""

    name: str
    size: Fourth
    batch_size: Whole
    baseline_steps: Whole
    baseline_every: Whole
    sizes: Annotated[list[Fourth], Field(min_length=1), AfterValidator(increasing)]
    margin: Annotated[int, Field(ge=0, le=512, multiple_of=2)]
    output: Text


class TrainBenchmark(TrainSettings):
    """What `benchmark.py train` takes."""

    benchmark: TrainMeasurement


class OptimizeBenchmark(TrainSettings):
    """What `benchmark.py optimize` takes."""

    benchmark: OptimizeMeasurement


class TradeoffBenchmark(TrainSettings):
    """What `benchmark.py tradeoff` takes."""

    benchmark: TradeoffMeasurement


class ScalesBenchmark(TrainSettings):
    """What `benchmark.py scales` takes."""

    benchmark: ScalesMeasurement


class NetworksBenchmark(TrainSettings):
    """What `benchmark.py networks` takes."""

    benchmark: NetworksMeasurement


class FlickerBenchmark(TrainSettings):
    """What `benchmark.py flicker` takes."""

    benchmark: FlickerMeasurement


class QualityBenchmark(TrainSettings):
    """What `benchmark.py quality` takes."""

    benchmark: QualityMeasurement


class InferBenchmark(TrainSettings):
    """What `benchmark.py infer` takes."""

    benchmark: InferMeasurement
    sizes: Annotated[list[Annotated[Any, BeforeValidator(picture_size)]], Field(min_length=1)]
    contenders: Texts
