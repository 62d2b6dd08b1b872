"""What a run begins with: random weights, or a network that paints already."""

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from allaprima import networks
from allaprima.errors import UserError
from allaprima.network_file import load_network
from allaprima.networks.pruning import prune
from allaprima.style import Style

# Networks to begin with, the better first.
STARTS = ("kandinsky", "starry_night", "kandinsky_realtime", "starry_night_realtime")
# What is kept of the one begun with.
ANCESTRY = ("network", "steps", "images_seen", "seconds", "loss", "teacher", "settings", "init")


def initial_network(config: DictConfig, style: Style) -> tuple[nn.Module, dict[str, Any] | None]:
    """The network before the first step, and what it was trained for so far: nothing if its weights are random.

    It may be larger than the one configured, which is then cut out of it.

    Raises:
        UserError: there is no such network, or the one configured is no part of it.
    """
    network = networks.build(**OmegaConf.to_container(config.network))
    init = carried_start(network, style) if config.init == "auto" else config.init
    if init == "scratch":
        return network, None
    begun, metadata = load_network(init)
    try:
        prune(begun, network)
    except ValueError as error:
        raise UserError(
            f"init={init} is {metadata['network']}: give the same network= and width and no more blocks or hidden"
            " channels, or init=scratch"
        ) from error
    kept = {name: metadata[name] for name in ANCESTRY if name in metadata}
    return network, {"style": metadata["style"]["name"], "pruned": shapes(begun) != shapes(network)} | kept


def ancestors(start: dict[str, Any] | None) -> list[str]:
    """The paintings that the network begun with was trained on, the last first, by what `initial_network` tells."""
    return [start["style"], *ancestors(start.get("init"))] if start else []


def carried_start(network: nn.Module, style: Style) -> str:
    """The first of `STARTS` that is built like `network` and paints another painting; scratch if there is none."""
    for name in STARTS:
        carried, metadata = load_network(name)
        if shapes(carried) == shapes(network) and metadata["style"]["sha256"] != style.sha256:
            return name
    return "scratch"


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    """The shapes of a network's weights, by name."""
    return {name: weight.shape for name, weight in network.state_dict().items()}
