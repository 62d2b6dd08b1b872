"""The terms of a training step: each has a name, a weight, and a value for a batch."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.limits import NonNegative
from allaprima.losses.grid import grid_energy
from allaprima.losses.perceptual import LossTerms, PerceptualLoss
from allaprima.losses.stability import instability
from allaprima.losses.style import Style
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.files import load_network
from allaprima.networks.metadata import Metadata

GAIN = 0.05  # of the content weight in a step, at most
AVERAGED_STEPS = 20  # over which the content term is averaged


@dataclass(frozen=True, kw_only=True)
class TermSettings:
    """Weights of what training adds to the objective: `Distillation`, `grid_energy`, `instability`.

    With a teacher and None for `distillation`, that takes the place of all other terms.
    """

    distillation: NonNegative | None = None
    grid: NonNegative = 0.0
    stability: NonNegative = 0.0


class Step(NamedTuple):
    """What the terms of one step are computed from."""

    photos: Tensor  # (B, 3, H, W) in [0, 1]
    pastiches: Tensor  # of `photos`, the same shape and range, with their gradient
    painting: str  # its name
    level: int  # which of its codes, 0 the calm or the only one
    # (photographs, network) to pastiches with the input noise of `pastiches`; without a network by the one that is
    # trained.
    paint: Callable[..., Tensor]


class Term(NamedTuple):
    """What a step adds to the sum, `weight` times `value(step)`."""

    name: str
    weight: float
    value: Callable[[Step], Tensor]


class Objective(nn.Module):
    """The objective of each painting, by its name, its content term kept at a distance by the content weight.

    One weight would keep a face in one painting and lose it in another; one distance means the same for all. Each code
    of a painting has a weight and a distance of its own. Without distances the content weights stay as they are.
    """

    def __init__(
        self, losses: Mapping[str, PerceptualLoss], levels: int = 1, content_distances: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.losses = dict(losses)
        self.registered = nn.ModuleList(losses.values())  # not by name: a painting's may have a dot
        self.content_distances = content_distances
        self.content_weights = {name: [loss.content_weight] * levels for name, loss in losses.items()}
        self.content_means: dict[str, list[float | None]] = {name: [None] * levels for name in losses}
        self.terms: LossTerms | None = None

    def forward(self, step: Step) -> Tensor:
        """The weighted sum of content, style and total variation, which `terms` keeps."""
        self.terms = self.between(step.pastiches, step.photos, step.painting, step.level)
        return self.terms.total

    def between(self, pastiches: Tensor, photos: Tensor, painting: str, level: int) -> LossTerms:
        """The objective of a painting and one of its levels, of photographs and pastiches, see `PerceptualLoss`."""
        return self.losses[painting].between(pastiches, photos, self.content_weights[painting][level])

    def adjust_content_weight(self, painting: str, level: int, content: float) -> None:
        """Set the content weight for the next step, by the content term of the last one on all devices."""
        if self.content_distances is None:
            return
        mean = self.content_means[painting][level]
        mean = content if mean is None else mean + (content - mean) / AVERAGED_STEPS
        self.content_means[painting][level] = mean
        weights = self.content_weights[painting]
        weights[level] = adjusted_weight(weights[level], mean, self.content_distances[level])

    def content_state(self) -> dict[str, Any]:
        """By painting and level, the content weights and the means of the content term, for a run that is resumed."""
        return {"weights": self.content_weights, "means": self.content_means}

    def load_content_state(self, state: dict[str, Any]) -> None:
        """Go on from what `content_state` gave."""
        self.content_weights = state["weights"]
        self.content_means = state["means"]


def adjusted_weight(weight: float, mean: float, distance: float) -> float:
    """The content weight of the next step: larger where the content term's mean exceeds its distance, and smaller."""
    return weight * math.exp(GAIN * min(1.0, max(-1.0, mean / distance - 1)))


class Distillation(nn.Module):
    """Mean squared distance from the pastiches of a larger network of the same painting (Hinton et al. 2015).

    The teacher, which is frozen, sees the same input noise: what it makes of that can then be learned too.
    """

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, step: Step) -> Tensor:
        """The distance, in squared units of pictures."""
        with torch.no_grad():
            taught = step.paint(step.photos, self.teacher)
        return F.mse_loss(step.pastiches, taught)


def build_terms(settings: TermSettings, objective: Objective, teacher: nn.Module | None) -> list[Term]:
    """The terms whose weights are not 0; with a teacher and no weight for it, distillation alone."""
    if teacher and settings.distillation is None:
        return [Term("distillation", 1.0, Distillation(teacher))]
    terms = [Term("objective", 1.0, objective)]
    if teacher:
        terms.append(Term("distillation", settings.distillation, Distillation(teacher)))
    if settings.grid:
        terms.append(Term("grid", settings.grid, lambda step: grid_energy(step.pastiches).mean()))
    if settings.stability:
        terms.append(
            Term("stability", settings.stability, lambda step: instability(step.paint, step.photos, step.pastiches))
        )
    return terms


def load_teacher(name: str, style: Style) -> tuple[TransformationNetwork, Metadata]:
    """A network to learn from, by name or path, and what its file says. UserError if it paints another painting."""
    teacher, metadata = load_network(name)
    if len(metadata.paintings) > 1 or not style.same_as(metadata.paintings[0]):
        raise UserError(f"teacher={name} paints {metadata.title}: give a network of {style.title}")
    return teacher.requires_grad_(False), metadata


def weights_sha256(network: nn.Module) -> str:
    """A network's weights as a hexadecimal digest, which does not change with what its file says of it."""
    digest = hashlib.sha256()
    for weight in network.state_dict().values():
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()
