"""The baseline: the usual way to train and to optimize on a processor, as the examples have it.

Float32, contiguous, PyTorch's own instance norm and upsampling, the whole loss network on photograph and pastiche.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allaprima.commands.train import TrainSettings
from allaprima.errors import UserError
from allaprima.losses.perceptual import PerceptualLoss


def check_baseline(settings: TrainSettings) -> None:
    """Raises UserError for an objective or a network that is not written out here."""
    if settings.loss.objective != "relative" or not settings.loss.style_weight:
        raise UserError("the baseline knows the relative objective alone: leave out loss=, or change its weights only")
    if settings.network.name != "johnson":
        raise UserError("the baseline knows Johnson's network alone: leave out network=, or change its size only")


class BaselineResidual(nn.Module):
    """x + f(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *baseline_conv(channels, channels, 3), nn.ReLU(), *baseline_conv(channels, channels, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return x + self.body(x)


def baseline_conv(channels: int, out_channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Reflection padding, convolution, instance norm."""
    return [
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(channels, out_channels, kernel, stride),
        nn.InstanceNorm2d(out_channels, affine=True),
    ]


def baseline_johnson(width: int, blocks: int) -> nn.Sequential:
    """Johnson's network as its users write it, for sizes that are multiples of 4."""
    return nn.Sequential(
        *baseline_conv(3, width, 9),
        nn.ReLU(),
        *baseline_conv(width, 2 * width, 3, 2),
        nn.ReLU(),
        *baseline_conv(2 * width, 4 * width, 3, 2),
        nn.ReLU(),
        *(BaselineResidual(4 * width) for _ in range(blocks)),
        nn.Upsample(scale_factor=2),
        *baseline_conv(4 * width, 2 * width, 3),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        *baseline_conv(2 * width, width, 3),
        nn.ReLU(),
        nn.ReflectionPad2d(4),
        nn.Conv2d(width, 3, 9),
        nn.Sigmoid(),
    )


def baseline_gram(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, C), divided by H W."""
    positions = features.flatten(2)
    return positions.bmm(positions.transpose(1, 2)) / positions.shape[2]


def baseline_objective(loss: PerceptualLoss, pastiches: Tensor, photo_features: dict[str, Tensor]) -> Tensor:
    """The relative objective of (B, 3, H, W) pastiches in [0, 1], written out the usual way."""
    features = loss.vgg(pastiches, {*loss.content_layers, *loss.style_layers})
    content = sum(
        F.mse_loss(features[layer], photo_features[layer]) / photo_features[layer].square().mean()
        for layer in loss.content_layers
    )
    style = 0.0
    for layer in loss.style_layers:
        target = loss.get_buffer(f"gram_{layer}")
        expanded = target.expand(len(pastiches), -1, -1)
        style = style + F.mse_loss(baseline_gram(features[layer]), expanded) / target.square().mean()
    variation = (pastiches[..., 1:] - pastiches[..., :-1]).abs().mean()
    variation = variation + (pastiches[..., 1:, :] - pastiches[..., :-1, :]).abs().mean()
    weighted = loss.content_weight * content + loss.style_weight * style / len(loss.style_layers)
    return weighted + loss.tv_weight * variation


def baseline_step(network: nn.Module, loss: PerceptualLoss, optimizer: torch.optim.Optimizer, photos: Tensor) -> None:
    """One training step on (B, 3, H, W) photographs in [0, 1]."""
    optimizer.zero_grad()
    photo_features = loss.vgg(photos, {*loss.content_layers, *loss.style_layers})
    baseline_objective(loss, network(photos), photo_features).backward()
    optimizer.step()


def baseline_descent(loss: PerceptualLoss, photo: Tensor, evaluations: int) -> tuple[Tensor, int]:
    """What PyTorch's L-BFGS reaches from a photograph, both (1, 3, H, W) in [0, 1], and in how many evaluations."""
    done = 0
    picture = photo.clone().requires_grad_()
    photo_features = loss.vgg(photo, {*loss.content_layers, *loss.style_layers})
    optimizer = torch.optim.LBFGS(
        [picture],
        max_iter=evaluations,
        max_eval=evaluations,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        nonlocal done
        done += 1
        optimizer.zero_grad()
        objective = baseline_objective(loss, picture.clamp(0, 1), photo_features)
        objective.backward()
        return objective

    optimizer.step(closure)
    return picture.detach().clamp(0, 1), done
