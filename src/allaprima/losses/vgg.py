"""The frozen loss network: VGG-16 or VGG-19 (Simonyan and Zisserman 2015), its layers asked for by name."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.losses.layers import CHANNELS, canonical_name, layer_names
from allaprima.losses.vgg_weights import VGGWeights


class VGG(nn.Module):
    """The convolutional part of VGG, frozen and cut after the deepest of `layers`.

    Args:
        weights: where its parameters come from, with the mean and scale they expect (`vgg_weights.load`).
        layers: every layer that will be asked for.
    """

    def __init__(self, weights: VGGWeights, layers: Iterable[str]) -> None:
        super().__init__()
        self.depth, self.identity = weights.depth, weights.identity
        names = layer_names(self.depth)
        wanted = {canonical_name(layer, self.depth) for layer in layers}
        self.names = names[: max(names.index(layer) for layer in wanted) + 1]
        modules = []
        channels = 3
        for index, name in enumerate(self.names):
            if name.startswith("conv"):
                weight = weights.state_dict.get(f"features.{index}.weight")
                if weight is None:
                    raise UserError(
                        f"loss.weights={weights.name} has nothing for layer '{name}': ask for earlier layers"
                    )
                convolution = nn.Conv2d(channels, CHANNELS[int(name[4]) - 1], 3, padding=1)
                try:
                    parameters = {"weight": weight, "bias": weights.state_dict[f"features.{index}.bias"]}
                    convolution.load_state_dict(parameters)
                except (KeyError, RuntimeError) as error:
                    raise UserError(f"loss.weights={weights.name} is no VGG-{self.depth}: '{name}' differs") from error
                modules.append(convolution)
                channels = convolution.out_channels
            elif name.startswith("relu"):
                modules.append(nn.ReLU(inplace=self.names[index - 1] not in wanted))
            else:
                modules.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*modules)
        self.register_buffer("mean", torch.tensor(weights.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(weights.std).view(1, 3, 1, 1), persistent=False)
        self.layout = torch.preserve_format
        self.requires_grad_(False).eval()

    def set_precision(self, precision: str) -> None:
        """Compute in channels_last, and in bfloat16 where `precision` is bf16-mixed, see `fastest_precision`."""
        self.layout = torch.channels_last
        self.to(memory_format=self.layout)
        if precision == "bf16-mixed":
            self.features.to(torch.bfloat16)

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Feature maps of `images`, computed no further than the deepest of `layers`.

        Args:
            images: (B, 3, H, W), sRGB in [0, 1].
            layers: names from those given at construction.

        Returns:
            (B, C, h, w) per layer, under the name asked for, in the number type of the loss network's parameters.
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
