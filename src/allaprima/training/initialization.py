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
from allaprima.networks.settings import NetworkSettings

STARTS = ("base/johnson", "kandinsky_realtime")  # the bundled networks to begin with, one for each architecture
# Of the metadata of the network begun with, what is kept.
KEPT = ("network", "styles", "steps", "images_seen", "seconds", "loss", "teacher", "settings", "init")


def initial_network(
    settings: NetworkSettings, styles: Sequence[str] | None, init: str, style: str
) -> tuple[nn.Module, dict[str, Any] | None]:
    """The network before the first step, and what it was trained for so far: nothing if its weights are random.

    It is for one painting, called `style`, or for several, called `styles`. To begin with `init`: `auto` is the bundled
    network of its kind, `scratch` random weights, anything else a name or path. That may be larger than the one to be
    built, which is then cut out of it, or of several paintings, of which that called `style` is taken, or their mean.
    Raises UserError if there is no such network, or the one to be built is no part of it.
    """
    network = networks.build(settings)
    network = MultiStyle(network, styles) if styles else network
    init = bundled_start(network) if init == "auto" else init
    if init == "scratch":
        return network, None
    start, metadata = load_network(init)
    try:
        if styles:
            start = start if isinstance(start, MultiStyle) else MultiStyle(start, styles)
            network.load_state_dict(start.state_dict())
        else:
            if isinstance(start, MultiStyle):
                start = start.single(style if style in start.norms else None)
            prune(start, network)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"init={init} is {metadata.network}: give the same network= and width and no more blocks or hidden"
            " channels, or init=scratch"
        ) from error
    facts = metadata.as_dict()
    pruned = shapes(start) != shapes(network)
    return network, {"style": metadata.style.name, "pruned": pruned} | {name: facts[name] for name in KEPT}


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
