"""The objective as settings describe it: a loss network, a painting's targets and the weights of the terms."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from allaprima.errors import UserError
from allaprima.hardware import fastest_precision
from allaprima.limits import NonNegative, Side, Text, Texts, one_of
from allaprima.losses import vgg_weights
from allaprima.losses.layers import canonical_name
from allaprima.losses.perceptual import OBJECTIVES, PerceptualLoss
from allaprima.losses.style import Style, bundled_style, read_painting
from allaprima.losses.vgg import VGG
from allaprima.media.painting import FileName

Distance = Annotated[NonNegative, Field(gt=0)]


@dataclass(frozen=True, kw_only=True)
class StyleSettings:
    """Which painting."""

    name: FileName = "kandinsky"  # of a bundled painting
    # The path or web address of a picture, or the path of a folder of them, in place of a bundled painting.
    image: Text | None = None
    # Of several paintings of one network, by name.
    shares: Annotated[dict[FileName, NonNegative], Field(min_length=1)] | None = None
    size: Side = 384  # the painting's short side in pixels when it is read


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The objective."""

    objective: Annotated[Text, one_of(OBJECTIVES)] = "relative"  # a name in `OBJECTIVES`
    weights: Text = "caffe"  # of the loss network, as its depth, see `vgg_weights.load`
    depth: Literal[16, 19] = 19
    content_layers: Texts = field(default_factory=lambda: ["relu4_2"])
    style_layers: Texts = field(default_factory=lambda: [f"relu{block}_1" for block in range(1, 6)])
    layer_weights: list[NonNegative] | None = None  # one for each style layer; None for all 1
    # At which training keeps the content term, of a pair the calm and the bold code's; None leaves its weight as it is.
    content_distance: Distance | Annotated[list[Distance], Field(min_length=2, max_length=2)] | None = field(
        default_factory=lambda: [0.6, 1.05]
    )
    content_weight: NonNegative = 0.2  # a term of weight 0 costs nothing
    style_weight: NonNegative = 1.0
    tv_weight: NonNegative = 0.3

    def __post_init__(self) -> None:
        if self.layer_weights is not None and len(self.layer_weights) != len(self.style_layers):
            raise ValueError(f"loss.layer_weights={self.layer_weights}: give one for each of style_layers, or null")

    @property
    def content_distances(self) -> list[float] | None:
        """The content distance of each code of a painting, the calm one's first."""
        distance = self.content_distance
        return [distance] if isinstance(distance, float) else distance

    @property
    def identity_prefix(self) -> str:
        """What the identity of the loss network begins with, see `VGGWeights.identity`."""
        return f"{Path(self.weights).name}-vgg{self.depth}"

    def layers(self) -> tuple[list[str], list[str]]:
        """Content and style layers by the names used here. Raises UserError for one unknown or repeated."""
        content = [canonical_name(layer, self.depth) for layer in self.content_layers]
        style = [canonical_name(layer, self.depth) for layer in self.style_layers]
        for name, layers in (("content_layers", content), ("style_layers", style)):
            if len(set(layers)) < len(layers):
                raise UserError(f"loss.{name}=[{','.join(layers)}]: name each layer once")
        return content, style if self.style_weight else []


def load_objective(loss: LossSettings, painting: StyleSettings) -> tuple[Style, PerceptualLoss]:
    """The painting, and the objective with its targets as read at `painting.size`; see `load_objectives`."""
    style, (objective,) = load_objectives(loss, painting, [painting.size])
    return style, objective


def load_objectives(
    loss: LossSettings, painting: StyleSettings, sizes: Sequence[int]
) -> tuple[Style, list[PerceptualLoss]]:
    """The painting, and an objective for each of `sizes`, short sides in pixels, with one loss network.

    Raises UserError where the painting and the loss network do not go together.
    """
    bundled = None if painting.image else bundled_style(painting.name)
    if bundled and loss.style_weight:
        bundled.sizes(loss.identity_prefix)  # before a download
    vgg = load_vgg(loss)
    style = bundled or read_painting(painting.image, vgg, loss.layers()[1], sizes)
    return style, [build_objective(loss, vgg, style, size) for size in sizes]


def load_vgg(loss: LossSettings) -> VGG:
    """The loss network, as deep as the layers are. Raises UserError as `vgg_weights.load` and `VGG` do."""
    return VGG(vgg_weights.load(loss.weights, loss.depth), itertools.chain(*loss.layers()))


def build_objective(loss: LossSettings, vgg: VGG, style: Style, size: int) -> PerceptualLoss:
    """The objective with a painting's targets as read at `size`. Raises UserError if it was not read so."""
    content_layers, style_layers = loss.layers()
    grams = style.targets(vgg.identity, style_layers, size) if style_layers else {}
    layer_weights = loss.layer_weights if style_layers else None
    weights = loss.content_weight, loss.style_weight, loss.tv_weight
    return PerceptualLoss(vgg, grams, content_layers, loss.objective, *weights, layer_weights)


def fast_on_cpu(loss: PerceptualLoss) -> PerceptualLoss:
    """Give an objective's loss network the dtype and layout that are fastest here, and return the objective."""
    loss.vgg.set_precision(fastest_precision("cpu"))
    return loss
