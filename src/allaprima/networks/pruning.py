"""Structured pruning (Li et al. 2017; Liu et al. 2017): a smaller network is cut out of one that paints already."""

from collections.abc import Sequence

import torch
from torch import nn

from allaprima.networks.base import TransformationNetwork
from allaprima.networks.blocks import InstanceNorm, Residual


@torch.no_grad()
def prune(large: TransformationNetwork, small: TransformationNetwork) -> None:
    """Copy the weights and codes of `large` to `small`; ValueError if that has other layers, more blocks or channels.

    Of the blocks the first are kept: Kandinsky's objective changes least without the last. Of the channels within one
    those are kept with the largest product of their norm's scale and the length of the kernels that read them. The
    length of their own kernel says nothing, as instance norm divides by it. Both have the same table of codes.
    """
    blocks, others = split(large)
    small_blocks, small_others = split(small)
    kept: dict[InstanceNorm, torch.Tensor] = {}
    try:
        for layer, part in zip(others, small_others, strict=True):
            part.load_state_dict(layer.state_dict())
        for block, part in zip(blocks[: len(small_blocks)], small_blocks, strict=True):
            norm = block.body[0][1]
            kept[norm] = strongest(block, pairs(large, norm)[0].abs().mean((0, 1)), part.body[0][0].out_channels)
            part.load_state_dict(inner_channels(block, kept[norm]))
        used = [
            norm for norm in large.norms if not any(norm in block.modules() for block in blocks[len(small_blocks) :])
        ]
        for norm, part in zip(used, small.norms, strict=True):
            channels = kept.get(norm, torch.arange(norm.channels))
            for codes, theirs in zip(pairs(small, part), pairs(large, norm), strict=True):
                codes.copy_(theirs[..., channels])
    except (RuntimeError, ValueError) as error:
        raise ValueError("the smaller network is no part of the larger") from error


def split(network: TransformationNetwork) -> tuple[list[Residual], list[nn.Module]]:
    """A network's residual blocks and its other layers."""
    blocks = [layer for layer in network.layers if isinstance(layer, Residual)]
    return blocks, [layer for layer in network.layers if not isinstance(layer, Residual)]


def pairs(network: TransformationNetwork, norm: InstanceNorm) -> Sequence[torch.Tensor]:
    """A norm's scales and shifts in all codes, (P, L, C) both, to be written to."""
    return network.codes[..., norm.first : norm.first + 2 * norm.channels].chunk(2, -1)


def strongest(block: Residual, scale: torch.Tensor, count: int) -> torch.Tensor:
    """Which `count` of the channels between a block's two convolutions matter most, by their norm's scale, (C,)."""
    reader = block.body[2][0].weight
    return (scale * reader.square().sum((0, 2, 3)).sqrt()).topk(count).indices.sort().values


def inner_channels(block: Residual, channels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state of a residual block with some of the channels between its two convolutions."""
    state = block.state_dict()
    return {
        "body.0.0.weight": state["body.0.0.weight"][channels],
        "body.2.0.weight": state["body.2.0.weight"][:, channels],
    }
