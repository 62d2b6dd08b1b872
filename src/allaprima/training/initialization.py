"""What a run begins with: random weights, or a network that paints already."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.networks.base import BOLDNESS, TransformationNetwork
from allaprima.networks.files import load_network
from allaprima.networks.pruning import prune
from allaprima.networks.settings import NetworkSettings

STARTS = ("base/johnson", "kandinsky_realtime")  # the bundled networks to begin with, one for each architecture
# Of the metadata of the network begun with, what is kept.
KEPT = ("network", "steps", "images_seen", "seconds", "loss", "teacher", "settings", "init")


def initial_network(
    settings: NetworkSettings, paintings: Sequence[str], levels: int, init: str
) -> tuple[TransformationNetwork, dict[str, Any] | None]:
    """The network before the first step, and what it was trained for so far: nothing if its weights are random.

    It has so many `levels` of codes of `paintings`, their names. To begin with `init`: `auto` is the bundled network of
    its kind, `scratch` random weights, anything else a name or path. That may be larger than the one to be built, which
    is then cut out of it. A painting that it does not know begins with the mean of those that it knows. Raises
    UserError if there is no such network, or the one to be built is no part of it.
    """
    network = networks.build(settings, paintings, levels)
    init = bundled_start(network) if init == "auto" else init
    if init == "scratch":
        return network, None
    start, metadata = load_network(init)
    pruned = shapes(start) != shapes(network)
    take_codes(start, paintings, levels)
    try:
        prune(start, network)
    except ValueError as error:
        raise UserError(
            f"init={init} is {metadata.network}: give the same network= and width and no more blocks or hidden"
            " channels, or init=scratch"
        ) from error
    facts = metadata.as_dict()
    return network, {"style": metadata.name, "pruned": pruned} | {name: facts[name] for name in KEPT}


def bundled_start(network: TransformationNetwork) -> str:
    """The one of `STARTS` whose layers are like those of `network`; else scratch."""
    return next((name for name in STARTS if shapes(load_network(name)[0]) == shapes(network)), "scratch")


def take_codes(network: TransformationNetwork, paintings: Sequence[str], levels: int) -> None:
    """Give a network a table of so many codes of other paintings, begun with those that it has."""
    known = [name if name in network.paintings else None for name in paintings]
    boldnesses = (0, 1) if levels == 2 else (BOLDNESS,)
    table = [torch.stack([network.code(name, boldness) for boldness in boldnesses]) for name in known]
    network.codes = nn.Parameter(torch.stack(table).detach())
    network.paintings = tuple(paintings)


def shapes(network: TransformationNetwork) -> dict[str, torch.Size]:
    """The shapes of a network's weights, by name, without its codes."""
    return {name: weight.shape for name, weight in network.layers.state_dict().items()}
