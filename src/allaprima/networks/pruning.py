"""Structured pruning (Li et al. 2017; Liu et al. 2017): a smaller network is cut out of one that paints already."""

import torch
from torch import nn

from allaprima.networks.base import TransformationNetwork
from allaprima.networks.blocks import Residual


@torch.no_grad()
def prune(large: TransformationNetwork, small: TransformationNetwork) -> None:
    """Copy the weights of `large` to `small`; ValueError if that has other layers, more blocks or more channels.

    Of the blocks the first are kept: Kandinsky's objective changes least without the last. Of the channels within one
    those are kept with the largest product of their norm's scale and the length of the kernels that read them. The
    length of their own kernel says nothing, as instance norm divides by it.
    """
    blocks, others = split(large)
    small_blocks, small_others = split(small)
    try:
        for layer, part in zip(others, small_others, strict=True):
            part.load_state_dict(layer.state_dict())
        for block, part in zip(blocks[: len(small_blocks)], small_blocks, strict=True):
            part.load_state_dict(inner_channels(block, part.body[0][0].out_channels))
    except (RuntimeError, ValueError) as error:
        raise ValueError("the smaller network is no part of the larger") from error


def split(network: TransformationNetwork) -> tuple[list[nn.Module], list[nn.Module]]:
    """A network's residual blocks and its other layers."""
    blocks = [layer for layer in network.layers if isinstance(layer, Residual)]
    return blocks, [layer for layer in network.layers if not isinstance(layer, Residual)]


def inner_channels(block: Residual, count: int) -> dict[str, torch.Tensor]:
    """The state of a residual block with `count` of the channels between its two convolutions."""
    (_, norm), _, (reader, _) = block.body
    strength = norm.weight.abs() * reader.weight.square().sum((0, 2, 3)).sqrt()
    kept = strength.topk(count).indices.sort().values
    state = block.state_dict()
    inner = {name: state[name][kept] for name in ("body.0.0.weight", "body.0.1.weight", "body.0.1.bias")}
    return state | inner | {"body.2.0.weight": state["body.2.0.weight"][:, kept]}
