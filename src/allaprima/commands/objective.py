"""The objective that a configuration describes: the groups `loss` and `style` become one `PerceptualLoss`."""

from collections.abc import Sequence
from pathlib import Path

from allaprima.commands.groups import LossSettings, StyleSettings
from allaprima.errors import UserError
from allaprima.hardware import fastest_precision
from allaprima.losses import vgg_weights
from allaprima.losses.layers import canonical_name
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style, bundled_style, painting_style
from allaprima.losses.vgg import VGG


def load_objective(loss: LossSettings, painting: StyleSettings) -> tuple[Style, PerceptualLoss]:
    """The painting and the objective towards it, as `load_objectives` does, at the size that `painting` has."""
    style, (objective,) = load_objectives(loss, painting, [painting.size])
    return style, objective


def load_objectives(
    loss: LossSettings, painting: StyleSettings, sizes: Sequence[int]
) -> tuple[Style, list[PerceptualLoss]]:
    """The painting and an objective towards it as read at each of `sizes`, short sides in pixels.

    Args:
        loss: the group `loss`; a term of weight 0 costs nothing.
        painting: the group `style`.
        sizes: what one loss network serves.

    Raises:
        UserError: the two do not go together.
    """
    content_layers, style_layers = objective_layers(loss)
    bundled = None if painting.image else bundled_style(painting.name)
    if bundled and style_layers:
        bundled.check_read_with(f"{Path(loss.weights).name}-vgg{loss.depth}")  # before a download
    vgg = VGG(vgg_weights.load(loss.weights, loss.depth), [*content_layers, *style_layers])
    style = bundled or painting_style(painting.image, vgg, style_layers, sizes)
    return style, [objective_for(style, size, vgg, loss) for size in sizes]


def load_several(loss: LossSettings, names: Sequence[str], size: int) -> tuple[list[Style], list[PerceptualLoss]]:
    """Bundled paintings and the objective towards each, as read at `size`, with one loss network for all.

    Raises:
        UserError: one is not bundled, or was not read with that loss network.
    """
    content_layers, style_layers = objective_layers(loss)
    styles = [bundled_style(name) for name in names]
    vgg = VGG(vgg_weights.load(loss.weights, loss.depth), [*content_layers, *style_layers])
    return styles, [objective_for(style, size, vgg, loss) for style in styles]


def objective_layers(loss: LossSettings) -> tuple[list[str], list[str]]:
    """Content and style layers of the group `loss`, by the names used here. UserError for one unknown or repeated."""
    content, style = (
        [canonical_name(layer, loss.depth) for layer in layers] for layers in (loss.content_layers, loss.style_layers)
    )
    for name, layers in (("content_layers", content), ("style_layers", style)):
        if len(set(layers)) < len(layers):
            raise UserError(f"loss.{name}=[{','.join(layers)}]: name each layer once")
    return content, style if loss.style_weight else []


def objective_for(style: Style, size: int, vgg: VGG, loss: LossSettings) -> PerceptualLoss:
    """The objective towards a painting as read at `size`. Raises UserError if it was not read with that network."""
    content_layers, style_layers = objective_layers(loss)
    grams = style.targets(vgg.identity, style_layers, size) if style_layers else {}
    term_weights = loss.content_weight, loss.style_weight, loss.tv_weight
    layer_weights = loss.layer_weights if style_layers else None
    return PerceptualLoss(vgg, grams, content_layers, loss.objective, *term_weights, layer_weights)


def fast_on_cpu(loss: PerceptualLoss) -> PerceptualLoss:
    """Give an objective's loss network the number type and layout that are fastest here, and return the objective."""
    loss.vgg.set_precision(fastest_precision("cpu"))
    return loss
