"""The frozen loss network: VGG-16 or VGG-19 (Simonyan and Zisserman 2015), its layers asked for by name."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.losses.layers import CHANNELS, canonical_name, layer_names
from allaprima.losses.vgg_weights import VGGWeights


class VGG(nn.Module):
    """The convolutional part of VGG, frozen and cut after the deepest of the layers that will be asked for."""

    def __init__(self, weights: VGGWeights, layers: Iterable[str]) -> None:
        super().__init__()
        self.depth = weights.depth
        self.identity = weights.identity
        names = layer_names(self.depth)
        wanted = {canonical_name(layer, self.depth) for layer in layers}
        self.names = names[: max(names.index(layer) for layer in wanted) + 1]
        modules: list[nn.Module] = []
        channels = 3
        for index, name in enumerate(self.names):
            if name.startswith("conv"):
                modules.append(nn.Conv2d(channels, CHANNELS[int(name[4]) - 1], 3, padding=1))
                channels = modules[-1].out_channels
            elif name.startswith("relu"):
                modules.append(nn.ReLU(inplace=self.names[index - 1] not in wanted))
            else:
                modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        state = {key: weights.state_dict.get(f"features.{key}") for key in self.features.state_dict()}
        if missing := [self.names[int(key.partition(".")[0])] for key, value in state.items() if value is None]:
            raise UserError(f"loss.weights={weights.name} has nothing for layer '{missing[0]}': ask for earlier layers")
        try:
            self.features.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(f"loss.weights={weights.name} is no VGG-{self.depth}: its layers differ") from error
        self.register_buffer("mean", torch.tensor(weights.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(weights.std).view(1, 3, 1, 1), persistent=False)
        self.layout = torch.preserve_format
        self.requires_grad_(False).eval()

    def set_precision(self, precision: str) -> None:
        """Compute in bfloat16 where `precision` is bf16-mixed, see `fastest_precision`, and in channels_last."""
        self.layout = torch.channels_last
        self.to(memory_format=self.layout)
        if precision == "bf16-mixed":
            self.features.to(torch.bfloat16)

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Feature maps of `images`, (B, 3, H, W) in [0, 1], computed no further than the deepest of `layers`.

        (B, C, h, w) per layer, under the name asked for, in the dtype of the loss network's parameters.
        """
        wanted = {canonical_name(layer, self.depth): layer for layer in layers}
        found = {}
        x = ((images - self.mean) * self.scale).to(self.features[0].weight.dtype, memory_format=self.layout)
        for name, module in zip(self.names, self.features, strict=True):
            if len(found) == len(wanted):
                break
            x = module(x)
            if name in wanted:
                found[wanted[name]] = x
        return found
