"""The objective: alpha * content + beta * style + gamma * total variation, each term as a function.

The objectives differ in how they scale these terms (`OBJECTIVES`): `relative` and `normalized`, this project's;
`johnson` (Johnson, Alahi, Fei-Fei 2016); `gatys` (Gatys, Ecker, Bethge 2015). A term is a mean over the batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.losses.gram import gram_matrix
from allaprima.losses.vgg import VGG


def total_variation(images: Tensor) -> Tensor:
    """Anisotropic total variation: absolute differences of horizontal and vertical neighbours, summed.

    (B, 3, H, W) to (B,), in the same units.
    """
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).abs().sum((1, 2, 3))
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().sum((1, 2, 3))
    return horizontal + vertical


def squared_distance(x: Tensor, target: Tensor) -> Tensor:
    """Sum over everything but the batch of (x - target)^2: (B, ...) and a target that broadcasts to it, to (B,)."""
    return (x.float() - target.float()).square().flatten(1).sum(1)


def relative_content(features: Tensor, target: Tensor) -> Tensor:
    """|F - P|^2 / |P|^2: 0 for the photograph itself, 1 for a pastiche with no feature at all. (B, C, H, W) to (B,)."""
    return squared_distance(features, target) / target.float().square().flatten(1).sum(1)


def normalized_content(features: Tensor, target: Tensor) -> Tensor:
    """`relative_content` of features normalized per channel and picture, as instance norm does.

    That is 2 (1 - r), r the mean over the channels of the correlation of both: every place counts alike, however faint,
    and contrast does not count. (B, C, H, W) to (B,).
    """
    return relative_content(F.instance_norm(features.float()), F.instance_norm(target.float()))


def johnson_content(features: Tensor, target: Tensor) -> Tensor:
    """|F - P|^2 / (C H W) (Johnson et al. 2016, equation 2). (B, C, H, W) to (B,)."""
    return squared_distance(features, target) / features[0].numel()


def gatys_content(features: Tensor, target: Tensor) -> Tensor:
    """|F - P|^2 / 2 (Gatys et al. 2015, equation 1). (B, C, H, W) to (B,)."""
    return squared_distance(features, target) / 2


def relative_style(gram: Tensor, target: Tensor) -> Tensor:
    """|G - A|^2 / |A|^2 for Gram matrices of any one scale. (B, C, C) and (C, C) to (B,)."""
    return squared_distance(gram, target) / target.float().square().sum()


def johnson_style(gram: Tensor, target: Tensor) -> Tensor:
    """Mean square of G - A with G and A divided by C H W (Johnson et al. 2016, equations 3 and 4).

    The equation has the sum over all C^2 entries; the paper's weight of 5 belongs to the mean, which its code takes.
    (B, C, C) and (C, C), divided by H W, as `gram_matrix` gives them, to (B,).
    """
    return squared_distance(gram, target) / gram.shape[1] ** 4


def gatys_style(gram: Tensor, target: Tensor) -> Tensor:
    """E_l = 1/(4 N^2 M^2) sum (G - A)^2 for G and A summed over M positions (Gatys et al. 2015, equation 4).

    (B, N, N) and (N, N), divided by H W, as `gram_matrix` gives them, to (B,): M is divided out already.
    """
    return squared_distance(gram, target) / (4 * gram.shape[1] ** 2)


class Formulation(NamedTuple):
    """How an objective scales its terms: content and style per layer, the mean or sum over style layers, and TV."""

    content: Callable[[Tensor, Tensor], Tensor]
    style: Callable[[Tensor, Tensor], Tensor]
    average_layers: bool
    tv_per_pixel: bool


OBJECTIVES = {
    "relative": Formulation(relative_content, relative_style, average_layers=True, tv_per_pixel=True),
    "normalized": Formulation(normalized_content, relative_style, average_layers=True, tv_per_pixel=True),
    "johnson": Formulation(johnson_content, johnson_style, average_layers=False, tv_per_pixel=False),
    "gatys": Formulation(gatys_content, gatys_style, average_layers=True, tv_per_pixel=False),
}


class LossTerms(NamedTuple):
    """The objective and its unweighted terms, each a mean over the batch: scalar tensors, or numbers."""

    total: Tensor
    content: Tensor
    style: Tensor
    tv: Tensor

    def numbers(self) -> "LossTerms":
        """As numbers."""
        return LossTerms(*(term.item() for term in self))


class PerceptualLoss(nn.Module):
    """The whole objective, with the loss network and the painting's Gram matrices in it.

    Args:
        vgg: a loss network that reaches all the layers.
        grams: the painting's Gram matrices, (C, C), divided by H W, per style layer.
        content_layers: layers of the content term.
        objective: a name in `OBJECTIVES`.
        content_weight, style_weight, tv_weight: alpha, beta, gamma; a term of weight 0 is 0 and not computed.
        layer_weights: w_l of Gatys et al. 2015, equation 5, one per style layer; None for all 1.
    """

    def __init__(
        self,
        vgg: VGG,
        grams: Mapping[str, Tensor],
        content_layers: Sequence[str],
        objective: str,
        content_weight: float,
        style_weight: float,
        tv_weight: float,
        layer_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if objective not in OBJECTIVES:
            raise UserError(f"there is no objective '{objective}': take one of {', '.join(OBJECTIVES)}")
        self.vgg = vgg
        self.content_layers = tuple(content_layers) if content_weight else ()
        self.style_layers = tuple(grams) if style_weight else ()
        self.layer_weights = tuple(layer_weights or [1.0] * len(self.style_layers))
        for layer, target in grams.items():
            self.register_buffer(f"gram_{layer}", target.float(), persistent=False)
        self.formulation = OBJECTIVES[objective]
        self.content_weight = content_weight
        self.style_weight = style_weight
        self.tv_weight = tv_weight

    @torch.no_grad()
    def content_features(self, photos: Tensor) -> dict[str, Tensor]:
        """Content targets of `photos`, (B, 3, H, W) in [0, 1]: feature maps per content layer, without gradient."""
        return self.vgg(photos, self.content_layers)

    def forward(
        self, pastiches: Tensor, content: Mapping[str, Tensor], content_weight: float | None = None
    ) -> LossTerms:
        """The objective of `pastiches`, (B, 3, H, W) in [0, 1], against `content_features` of their photographs.

        `content_weight`: another for this sum.
        """
        content_weight = self.content_weight if content_weight is None else content_weight
        features = self.vgg(pastiches, {*self.content_layers, *self.style_layers})
        content_terms = [self.formulation.content(features[layer], content[layer]) for layer in self.content_layers]
        style_terms = [
            weight * self.formulation.style(gram_matrix(features[layer]), self.get_buffer(f"gram_{layer}"))
            for layer, weight in zip(self.style_layers, self.layer_weights, strict=True)
        ]
        none = pastiches.new_zeros(len(pastiches))
        content_term, style_term = (sum(terms, none).mean() for terms in (content_terms, style_terms))
        if self.formulation.average_layers and style_terms:
            style_term = style_term / len(style_terms)
        tv_term = total_variation(pastiches).mean()
        if self.formulation.tv_per_pixel:
            tv_term = tv_term / pastiches[0].numel()
        total = content_weight * content_term + self.style_weight * style_term + self.tv_weight * tv_term
        return LossTerms(total, content_term, style_term, tv_term)

    def between(self, pastiches: Tensor, photos: Tensor, content_weight: float | None = None) -> LossTerms:
        """The objective of `pastiches` of `photos`, (B, 3, H, W) in [0, 1] both."""
        return self(pastiches, self.content_features(photos), content_weight)
