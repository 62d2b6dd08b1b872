"""One network for several paintings, by conditional instance norm (Dumoulin, Shlens, Kudlur 2017)."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from allaprima.networks.blocks import InstanceNorm


class MultiStyle(nn.Module):
    """A network for one painting whose convolutions serve several, each with instance norms of its own."""

    def __init__(self, network: nn.Module, styles: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        norms = {name: module for name, module in network.named_modules() if isinstance(module, InstanceNorm)}
        own = {f"{name}.{key}": weight for name, norm in norms.items() for key, weight in norm.named_parameters()}
        for norm in norms.values():
            norm.requires_grad_(False)
        self.names = tuple(own)
        # ParameterDict takes no dots in names.
        self.norms = nn.ModuleDict(
            {style: nn.ParameterList([weight.detach().clone() for weight in own.values()]) for style in styles}
        )

    def forward(self, photos: Tensor, style: str, training: bool = False) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], in the manner of one painting, see `TransformationNetwork`."""
        norms = dict(zip(self.names, self.norms[style], strict=True))
        return functional_call(self.network, norms, (photos, training))

    def single(self, style: str | None) -> nn.Module:
        """A network for one of the paintings alone; for None with the mean of all norms, as for a painting to come."""
        norms = self.norms.values() if style is None else [self.norms[style]]
        means = [torch.stack([*weights]).mean(0) for weights in zip(*norms, strict=True)]
        network = copy.deepcopy(self.network).requires_grad_(True)
        network.load_state_dict(self.network.state_dict() | dict(zip(self.names, means, strict=True)))
        return network
