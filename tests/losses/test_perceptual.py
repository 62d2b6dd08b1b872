import pytest
import torch

from allaprima.errors import UserError
from allaprima.losses import perceptual
from allaprima.losses.gram import gram_matrix
from allaprima.losses.perceptual import PerceptualLoss


def test_content_golden_numbers():
    features = torch.tensor([[[[1.0, 2], [3, 4]]]])
    target = torch.full((1, 1, 2, 2), 2.0)
    assert perceptual.squared_distance(features, target).tolist() == [6]
    assert perceptual.gatys_content(features, target).tolist() == [3]
    assert perceptual.johnson_content(features, target).tolist() == [1.5]
    assert perceptual.relative_content(features, target).tolist() == [6 / 16]


def test_style_golden_numbers():
    gram = gram_matrix(torch.arange(1.0, 9).view(1, 2, 2, 2))
    target = torch.tensor([[7.5, 16.5], [16.5, 40.5]])
    # Differences 0, 1, 1, 3 over H W: their squares sum to 11.
    assert perceptual.squared_distance(gram, target).tolist() == [11]
    # Over C H W, half as large each; the mean over the four entries.
    assert perceptual.johnson_style(gram, target).tolist() == [11 / 4 / 4]
    # Equation 4 with N = 2, M = 4 and the sums 0, 4, 4, 12, whose squares sum to 176.
    assert perceptual.gatys_style(gram, target).tolist() == [176 / (4 * 2**2 * 4**2)]
    assert perceptual.relative_style(gram, target).item() == pytest.approx(11 / (7.5**2 + 2 * 16.5**2 + 40.5**2))


def test_total_variation_golden_numbers():
    image = torch.tensor([[[[0.0, 1], [3, 7]]]])
    assert perceptual.total_variation(image).tolist() == [1 + 4 + 3 + 6]
    assert perceptual.total_variation(torch.full((2, 3, 5, 4), 0.3)).tolist() == [0, 0]


def make_loss(vgg, painting, objective="relative", **weights):
    grams = {name: gram_matrix(map_)[0] for name, map_ in vgg(painting, ["relu1_2", "relu3_3"]).items()}
    all_weights = {"content_weight": 1.0, "style_weight": 1.0, "tv_weight": 1.0} | weights
    return PerceptualLoss(vgg, grams, ["relu3_3"], objective, **all_weights)


@pytest.mark.parametrize("objective", list(perceptual.OBJECTIVES))
def test_objective_is_the_weighted_sum(vgg, objective):
    photo = torch.rand(2, 3, 32, 32)
    painting = torch.rand(1, 3, 32, 32)
    loss = make_loss(vgg, painting, objective, content_weight=2.0, style_weight=3.0, tv_weight=5.0)
    terms = loss(photo, loss.content_features(photo))
    assert terms.content.item() == 0 and terms.style.item() > 0 and terms.tv.item() > 0
    assert terms.total.item() == pytest.approx((3 * terms.style + 5 * terms.tv).item())
    other = loss(photo.flip(3), loss.content_features(photo))
    assert other.content.item() > 0
    assert other.total.item() == pytest.approx((2 * other.content + 3 * other.style + 5 * other.tv).item())
    same = loss(painting, loss.content_features(painting))
    assert same.style.item() == pytest.approx(0, abs=1e-8)


def normalized(features):
    """Feature maps, (1, C, H, W), as instance norm leaves them."""
    return (features - features.mean((2, 3), keepdim=True)) / (
        features.var((2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()


def test_terms_of_the_papers(vgg):
    photo, pastiche, painting = torch.rand(3, 1, 3, 32, 32)
    style_layers = ["relu1_2", "relu3_3"]
    content, *styles = (
        [vgg(image, [layer])[layer] for image in (pastiche, target)]
        for layer, target in (("relu3_3", photo), *((layer, painting) for layer in style_layers))
    )
    grams = [[gram_matrix(features) for features in pair] for pair in styles]
    distances = [(gram - target).square().sum() for gram, target in grams]
    channels = [gram.shape[1] for gram, _ in grams]
    apart = (content[0] - content[1]).square().sum()
    variation = perceptual.total_variation(pastiche)
    expected = {
        # |F - P|^2 / (C H W); the sum over layers of the mean of (G - A)^2 with G over C H W; total variation as a sum.
        "johnson": (
            apart / content[0].numel(),
            sum(square / c**4 for square, c in zip(distances, channels, strict=True)),
            variation,
        ),
        # |F - P|^2 / 2; E_l with weights w_l = 1 / layers.
        "gatys": (
            apart / 2,
            sum(square / (4 * c**2) for square, c in zip(distances, channels, strict=True)) / len(style_layers),
            variation,
        ),
        # Ratios, the mean over layers; total variation a pixel and colour.
        "relative": (
            apart / content[1].square().sum(),
            sum(square / pair[1].square().sum() for square, pair in zip(distances, grams, strict=True)) / 2,
            variation / pastiche.numel(),
        ),
        # The same of features that are normalized per channel.
        "normalized": (
            (normalized(content[0]) - normalized(content[1])).square().sum() / normalized(content[1]).square().sum(),
            sum(square / pair[1].square().sum() for square, pair in zip(distances, grams, strict=True)) / 2,
            variation / pastiche.numel(),
        ),
    }
    assert expected.keys() == perceptual.OBJECTIVES.keys()
    for objective, terms in expected.items():
        loss = make_loss(vgg, painting, objective)
        found = loss(pastiche, loss.content_features(photo))
        assert torch.allclose(torch.stack(found[1:]), torch.stack([term.squeeze() for term in terms]), rtol=1e-4)


def test_gradient_reaches_the_pastiche_only(vgg):
    photo = torch.rand(1, 3, 32, 32)
    loss = make_loss(vgg, torch.rand(1, 3, 32, 32))
    pastiche = torch.rand(1, 3, 32, 32, requires_grad=True)
    content = loss.content_features(photo)
    assert not any(features.requires_grad for features in content.values())
    loss(pastiche, content).total.backward()
    assert pastiche.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_unknown_objective_is_refused(vgg):
    with pytest.raises(UserError, match="relative, normalized, johnson, gatys"):
        make_loss(vgg, torch.rand(1, 3, 32, 32), "perceptual")


def test_normalized_content():
    """2 (1 - r): nothing for another contrast, 2 for what has nothing to do with the photograph, 4 for its negative."""
    torch.manual_seed(0)
    features = torch.randn(1, 8, 64, 64)
    contrasts = torch.rand(1, 8, 1, 1) + 0.5
    others = (features * contrasts + 3, 0), (torch.randn_like(features), 2), (-features, 4)
    for other, value in others:
        assert perceptual.normalized_content(other, features).item() == pytest.approx(value, abs=0.05)
