"""What a run begins with: random weights, or a network that paints already."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.files import load_network
from allaprima.networks.multistyle import MultiStyle
from allaprima.networks.pruning import prune

STARTS = ("base/johnson", "kandinsky_realtime")  # the bundled networks to begin with, one for each architecture
# What is kept of the one begun with.
ANCESTRY = ("network", "styles", "steps", "images_seen", "seconds", "loss", "teacher", "settings", "init")


def new_network(arguments: dict[str, Any], styles: Sequence[str] | None) -> nn.Module:
    """A network with random weights, for one painting or for those named by `styles`.

    Raises:
        UserError: there is no such network, see `networks.build`.
    """
    network = networks.build(**arguments)
    return MultiStyle(network, styles) if styles else network


def initial_network(
    arguments: dict[str, Any], styles: Sequence[str] | None, init: str, style: str
) -> tuple[nn.Module, dict[str, Any] | None]:
    """The network before the first step, and what it was trained for so far: nothing if its weights are random.

    Args:
        arguments: of `networks.build`.
        styles: names of the paintings of a network for several, or None.
        init: `auto` for the bundled network of its kind, `scratch` for random weights, or a name or path. It may be
            larger than the one to be built, which is then cut out of it, or one of several paintings, of which that
            called `style` is taken, or else their mean.
        style: name of the painting.

    Raises:
        UserError: there is no such network, or the one to be built is no part of it.
    """
    network = new_network(arguments, styles)
    init = bundled_start(network) if init == "auto" else init
    if init == "scratch":
        return network, None
    begun, metadata = load_network(init)
    try:
        if styles and not isinstance(begun, MultiStyle):
            begun = MultiStyle(begun, styles)
        if styles:
            network.load_state_dict(begun.state_dict())
        else:
            if isinstance(begun, MultiStyle):
                begun = begun.single(style if style in begun.norms else None)
            prune(begun, network)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"init={init} is {metadata.network}: give the same network= and width and no more blocks or hidden"
            " channels, or init=scratch"
        ) from error
    kept = {name: getattr(metadata, name) for name in ANCESTRY}
    pruned = shapes(begun) != shapes(network)
    return network, {"style": metadata.style.name, "pruned": pruned} | kept


def ancestors(start: dict[str, Any] | None) -> list[str]:
    """The paintings that the network begun with was trained on, the last first, by what `initial_network` tells."""
    return [start["style"], *ancestors(start.get("init"))] if start else []


def bundled_start(network: nn.Module) -> str:
    """The one of `STARTS` that is built like `network`, a network for one painting; else scratch."""
    for name in STARTS:
        start = load_network(name)[0]
        if shapes(start.network if isinstance(start, MultiStyle) else start) == shapes(network):
            return name
    return "scratch"


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    """The shapes of a network's weights, by name."""
    return {name: weight.shape for name, weight in network.state_dict().items()}
