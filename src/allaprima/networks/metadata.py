"""What a network's file says of the network beside its weights."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic_core import from_json

from allaprima.media.painting import Painting
from allaprima.networks.settings import NetworkSettings
from allaprima.old_names import translated

Count = Annotated[int, Field(ge=0, le=2**53)]
# What the comparison found at one size: by the optimizer's start; `of`: its limit of iterations.
EquivalentIterations = Annotated[dict[Literal["noise", "photo", "of", "photographs"], float], Field(min_length=2)]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that is needed to use a network, to judge it and to train it again."""

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False)

    network: NetworkSettings  # how it is built
    style: Painting  # the painting; of several, what they are called together
    style_size: Annotated[int, Field(ge=1, le=2**16)]  # short side of the painting in training, pixels
    loss_network: str  # see `VGGWeights.identity`
    loss: dict[str, JsonValue]  # the objective that it was trained on, `LossSettings`
    # Names of the paintings of a network for several, else None.
    styles: Annotated[list[str], Field(min_length=1)] | None = None
    teacher: str | None = None  # name of the network that it learned from
    init: dict[str, JsonValue] | None = None  # what it began with, see `initial_network`
    settings: dict[str, JsonValue] = field(default_factory=dict)  # the others of its run
    steps: Count = 0  # of training, as the next two; seconds without validation
    images_seen: Count = 0
    seconds: Annotated[float, Field(ge=0)] = 0
    # The objective's terms on held-out photographs, at the last step.
    validation: dict[str, float] = field(default_factory=dict)
    content_weights: dict[str, float] = field(default_factory=dict)  # by painting, at the last step
    # What the comparison found, by pixels of a side.
    equivalent_iterations: dict[str, EquivalentIterations] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same in dictionaries, lists, texts and numbers."""
        facts = dataclasses.asdict(self)
        return facts | {"network": {name: value for name, value in facts["network"].items() if value is not None}}

    def as_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.as_dict())


METADATA = TypeAdapter(Metadata)


def metadata_from(facts: dict[str, Any]) -> Metadata:
    """What `Metadata.as_dict` gave. Raises ValueError if it is something else."""
    return METADATA.validate_json(json.dumps(translated(facts)))


def read_metadata(text: str) -> Metadata:
    """What `Metadata.as_json` wrote. Raises ValueError for anything else that a stranger may have written."""
    metadata = metadata_from(from_json(text))
    # In a terminal, or as an interpolation in settings that are taken up again.
    if not all(text.isprintable() and "${" not in text for text in texts_in(metadata.as_dict())):
        raise ValueError("control characters or an interpolation")
    return metadata


def texts_in(value: Any) -> Iterator[str]:
    """All texts in what JSON can hold, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from texts_in(list(value.values()))
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)
