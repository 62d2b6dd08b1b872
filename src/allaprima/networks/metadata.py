"""What a network's file says of the network beside its weights."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, TypeAdapter
from pydantic_core import from_json

from allaprima.limits import unique
from allaprima.media.painting import Painting
from allaprima.networks.settings import NetworkSettings
from allaprima.old_names import translated

LARGEST = 1 << 20  # characters; a network of a hundred paintings has a twentieth
Count = Annotated[int, Field(ge=0, le=2**53)]
# What the comparison found at one size: by the optimizer's start; `of`: its limit of iterations.
EquivalentIterations = Annotated[dict[Literal["noise", "photo", "of", "photographs"], float], Field(min_length=2)]


def named_apart(paintings: list[Painting]) -> list[Painting]:
    """The paintings themselves. Raises ValueError where two have one name."""
    unique([painting.name for painting in paintings])
    return paintings


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that is needed to use a network, to judge it and to train it again."""

    __pydantic_config__ = ConfigDict(strict=True, allow_inf_nan=False)

    network: NetworkSettings  # how it is built
    # In the order of its table of codes.
    paintings: Annotated[list[Painting], Field(min_length=1), AfterValidator(named_apart)]
    style_size: Annotated[int, Field(ge=1, le=2**16)]  # short side of the painting in training, pixels
    loss_network: str  # see `VGGWeights.identity`
    loss: dict[str, JsonValue]  # the objective that it was trained on, `LossSettings`
    teacher: str | None = None  # name of the network that it learned from
    init: dict[str, JsonValue] | None = None  # what it began with, see `initial_network`
    settings: dict[str, JsonValue] = field(default_factory=dict)  # the others of its run
    steps: Count = 0  # of training, as the next two; seconds without validation
    images_seen: Count = 0
    seconds: Annotated[float, Field(ge=0)] = 0
    # The objective's terms on held-out photographs, at the last step.
    validation: dict[str, float] = field(default_factory=dict)
    content_weights: dict[str, list[float]] = field(default_factory=dict)  # by painting and level, at the last step
    # What the comparison found, by pixels of a side.
    equivalent_iterations: dict[str, EquivalentIterations] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the network's file is called: as its painting, or `gallery` if it has several."""
        return self.paintings[0].name if len(self.paintings) == 1 else "gallery"

    @property
    def names(self) -> list[str]:
        """Names of the paintings."""
        return [painting.name for painting in self.paintings]

    @property
    def title(self) -> str:
        """What to call the network's paintings in a line."""
        return str(self.paintings[0]) if len(self.paintings) == 1 else f"{len(self.paintings)} paintings"

    def content_weight(self, painting: str, boldness: float) -> float | None:
        """The content weight of a painting at a boldness, between two in the way of a geometric mean; None: unknown."""
        weights = self.content_weights.get(painting)
        return weights and weights[0] ** (1 - boldness) * weights[-1] ** boldness

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
    if len(text) > LARGEST:
        raise ValueError("too much to read")
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
