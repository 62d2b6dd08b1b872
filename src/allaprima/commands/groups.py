"""The groups of settings that several commands have: painting, objective, network, data, trainer, logger, optimizer."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from allaprima.commands.settings import Depth, Number, Settings, Share, Side, Text, Texts, Whole, Words, at_most, one_of
from allaprima.data.sources import SOURCES
from allaprima.losses.perceptual import OBJECTIVES
from allaprima.media.painting import file_name
from allaprima.networks import NETWORKS

LARGEST_STEP = 64  # megapixels


class StyleSettings(Settings):
    """The group `style`: which painting."""

    name: Annotated[Text, AfterValidator(file_name)]
    title: Words
    artist: Words
    year: Words
    source: Words
    image: Text | None
    size: Side


class LossSettings(Settings):
    """The group `loss`: the objective."""

    objective: Annotated[Text, one_of(OBJECTIVES)]
    weights: Text
    depth: Depth
    content_layers: Texts
    style_layers: Texts
    layer_weights: list[Number] | None
    content_distance: Annotated[Number, Field(gt=0)] | None
    content_weight: Number
    style_weight: Number
    tv_weight: Number

    @model_validator(mode="after")
    def check_layer_weights(self) -> Self:
        """One for each style layer."""
        if self.layer_weights is not None and len(self.layer_weights) != len(self.style_layers):
            raise ValueError(f"loss.layer_weights={self.layer_weights}: give one for each of style_layers, or null")
        return self


class NetworkSettings(Settings):
    """The group `network`."""

    name: Annotated[Text, one_of(NETWORKS)]
    width: Annotated[Whole, at_most(1024, "a step would take minutes")]
    blocks: Annotated[int, Field(ge=0), at_most(256, "a step would take minutes")]
    hidden: Annotated[Whole, at_most(1024, "a step would take minutes")] | None = None
    input_noise: Share
    painting_noise: Share


class DataSettings(Settings):
    """The group `data`."""

    source: Annotated[Text, one_of(SOURCES)]
    root: Text | None
    leaves_share: Share
    size: Side
    validation_size: Side
    validation_photos: Whole
    batch_size: Whole
    workers: Annotated[int, Field(ge=0), at_most(256, "each is a process")]

    @model_validator(mode="after")
    def check_step(self) -> Self:
        """Limits what a step computes at once."""
        megapixels = self.batch_size * self.size**2 / 1e6
        if megapixels > LARGEST_STEP:
            raise ValueError(
                f"data.batch_size={self.batch_size} at data.size={self.size} are {megapixels:.0f} megapixels a step: "
                f"give {LARGEST_STEP} or less, as no memory holds the loss network's layers for more"
            )
        return self


class TrainerSettings(Settings):
    """The group `trainer`: Lightning's own, and `val_every`."""

    accelerator: Literal["cpu", "gpu"]
    devices: Annotated[int, Field(ge=-1)]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    max_steps: Whole
    val_every: Whole
    strategy: Text | None = None


class LoggerSettings(Settings):
    """The group `logger`."""

    csv: bool
    wandb: bool
    project: Text


class OptimizerSettings(Settings):
    """The group `optimizer`."""

    learning_rate: Number
    warmup_steps: Annotated[int, Field(ge=0, le=2**31 - 1)]
    decay_share: Share
    ema_decay: Share
