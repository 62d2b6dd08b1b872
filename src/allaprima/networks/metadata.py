"""What a network's file says of the network beside its weights."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    NotRequired,  # those of Python 3.11 are not enough for pydantic
)

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic_core import from_json
from typing_extensions import TypedDict

from allaprima.media.painting import Painting
from allaprima.networks.old_names import translated

Count = Annotated[int, Field(ge=0, le=2**53)]


class Arguments(TypedDict):
    """Of `networks.build`; those that are not required are for files that do not tell."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    width: Annotated[int, Field(ge=1)]
    blocks: Count
    hidden: NotRequired[Annotated[int, Field(ge=1)] | None]
    input_noise: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    painting_noise: NotRequired[Annotated[float, Field(ge=0, le=1)]]


class EquivalentIterations(TypedDict):
    """What scripts/compare.py found at one size: by the optimizer's start, of how many, on how many photographs."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    noise: NotRequired[float]
    photo: NotRequired[float]
    of: float
    photographs: NotRequired[float]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that is needed to use a network, to judge it and to train it again.

    Attributes:
        network: arguments of `networks.build`.
        style: the painting; of several, what they are called together.
        style_size: short side of the painting in training, pixels.
        loss_network: see `VGGWeights.identity`.
        loss: the objective that it was trained on, the settings of the group `loss`.
        styles: names of the paintings of a network for several, else None.
        teacher: name of the network that it learned from in place of the objective.
        init: what it began with, see `initial_network`.
        settings: the others of its run.
        steps, images_seen, seconds: of training; seconds without validation.
        validation: the objective's terms on held-out photographs, at the last step.
        content_weights: by painting, where training led them.
        equivalent_iterations: what scripts/compare.py found, by pixels of a side.
    """

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False)

    network: Arguments
    style: Painting
    style_size: Annotated[int, Field(ge=1, le=2**16)]
    loss_network: str
    loss: dict[str, JsonValue]
    styles: Annotated[list[str], Field(min_length=1)] | None = None
    teacher: str | None = None
    init: dict[str, JsonValue] | None = None
    settings: dict[str, JsonValue] = field(default_factory=dict)
    steps: Count = 0
    images_seen: Count = 0
    seconds: Annotated[float, Field(ge=0)] = 0
    validation: dict[str, float] = field(default_factory=dict)
    content_weights: dict[str, float] = field(default_factory=dict)
    equivalent_iterations: dict[str, EquivalentIterations] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same in dictionaries, lists, texts and numbers."""
        return dataclasses.asdict(self)

    def as_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.as_dict())


METADATA = TypeAdapter(Metadata)


def metadata_from(facts: dict[str, Any]) -> Metadata:
    """What `Metadata.as_dict` gave. Raises ValueError if it is something else."""
    return METADATA.validate_python(translated(facts), strict=False)


def read_metadata(text: str) -> Metadata:
    """What `Metadata.as_json` wrote, or a stranger.

    Raises:
        ValueError: it is something else, or has texts that would do something where they are shown or used.
    """
    metadata = METADATA.validate_json(json.dumps(translated(from_json(text))))
    # In a terminal, or as an interpolation in settings that are taken up again.
    if not all(text.isprintable() and "${" not in text for text in texts_in(metadata.as_dict())):
        raise ValueError("control characters or an interpolation")
    return metadata


def texts_in(value: Any) -> Iterator[str]:
    """All texts in what JSON can hold, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
