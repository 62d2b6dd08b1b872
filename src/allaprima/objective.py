"""The objective that a configuration describes: the groups `loss` and `style` become one `PerceptualLoss`."""

from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig

from allaprima import weights
from allaprima.errors import UserError
from allaprima.losses import PerceptualLoss
from allaprima.precision import fastest_precision
from allaprima.settings import SMALLEST_SIDE, check_names, check_number, check_whole
from allaprima.style import Style, painting_style, shipped_style
from allaprima.vgg import CONVOLUTIONS, VGG, canonical_name


def check_objective(config: DictConfig) -> None:
    """Raises UserError for a setting in the groups `loss` and `style` that cannot be."""
    check_whole(config, "style.size", least=SMALLEST_SIDE)
    for name in ("loss.content_weight", "loss.style_weight", "loss.tv_weight"):
        check_number(config, name)
    for name in ("loss.content_layers", "loss.style_layers"):
        check_names(config, name)
    if config.loss.depth not in CONVOLUTIONS:
        raise UserError(f"loss.depth={config.loss.depth}: the loss network is VGG-16 or VGG-19, so give 16 or 19")


def load_objective(loss: DictConfig, painting: DictConfig) -> tuple[Style, PerceptualLoss]:
    """The painting and the objective towards it, as `load_objectives` does, at the size that `painting` has."""
    style, (objective,) = load_objectives(loss, painting, [painting.size])
    return style, objective


def load_objectives(loss: DictConfig, painting: DictConfig, sizes: Sequence[int]) -> tuple[Style, list[PerceptualLoss]]:
    """The painting and an objective towards it as read at each of `sizes`, short sides in pixels.

    Args:
        loss: the group `loss`; a term of weight 0 costs nothing.
        painting: the group `style`.
        sizes: what one loss network serves.

    Raises:
        UserError: the two do not go together.
    """
    content_layers, style_layers = (
        [canonical_name(layer, loss.depth) for layer in layers] for layers in (loss.content_layers, loss.style_layers)
    )
    if not loss.style_weight:
        style_layers = []
    carried = None if painting.image else shipped_style(painting.name)
    named = f"{Path(str(loss.weights)).name}-vgg{loss.depth}"
    if carried and style_layers and not carried.loss_network.startswith(f"{named}-"):
        carried.targets(named, style_layers, sizes[0])  # raises, before a download
    source = weights.load(str(loss.weights), loss.depth)
    vgg = VGG(source, [*content_layers, *style_layers])
    style = carried or painting_style(str(painting.image), vgg, source.identity, style_layers, sizes)
    targets = [style.targets(source.identity, style_layers, size) if style_layers else {} for size in sizes]
    term_weights = loss.content_weight, loss.style_weight, loss.tv_weight
    return style, [PerceptualLoss(vgg, grams, content_layers, loss.objective, *term_weights) for grams in targets]


def fast_on_cpu(loss: PerceptualLoss) -> PerceptualLoss:
    """Give an objective's loss network the number type and layout that are fastest here, and return the objective."""
    if fastest_precision("cpu") == "bf16-mixed":
        loss.vgg.features.to(torch.bfloat16)
    return loss.to(memory_format=torch.channels_last)
