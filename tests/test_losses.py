import pytest
import torch
import torch.nn.functional as F

from allaprima.errors import UserError
from allaprima.losses import perceptual as losses
from allaprima.losses.gram import gram_matrix
from allaprima.losses.grid import grid_energy
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.stability import SENSOR_NOISE, instability
from allaprima.networks.base import CELL


def test_content_golden_numbers():
    features = torch.tensor([[[[1.0, 2], [3, 4]]]])
    target = torch.full((1, 1, 2, 2), 2.0)
    assert losses.squared_distance(features, target).tolist() == [6]
    assert losses.gatys_content(features, target).tolist() == [3]
    assert losses.johnson_content(features, target).tolist() == [1.5]
    assert losses.relative_content(features, target).tolist() == [6 / 16]


def test_gram_golden_numbers():
    layer = torch.arange(1.0, 9).view(1, 2, 2, 2)
    assert (gram_matrix(layer) * 4).tolist() == [[[30, 70], [70, 174]]]
    assert gram_matrix(layer).tolist() == [[[7.5, 17.5], [17.5, 43.5]]]


def test_style_golden_numbers():
    gram = gram_matrix(torch.arange(1.0, 9).view(1, 2, 2, 2))
    target = torch.tensor([[7.5, 16.5], [16.5, 40.5]])
    # Differences 0, 1, 1, 3 over H W: their squares sum to 11.
    assert losses.squared_distance(gram, target).tolist() == [11]
    # Over C H W, half as large each; the mean over the four entries.
    assert losses.johnson_style(gram, target).tolist() == [11 / 4 / 4]
    # Equation 4 with N = 2, M = 4 and the sums 0, 4, 4, 12, whose squares sum to 176.
    assert losses.gatys_style(gram, target).tolist() == [176 / (4 * 2**2 * 4**2)]
    assert losses.relative_style(gram, target).item() == pytest.approx(11 / (7.5**2 + 2 * 16.5**2 + 40.5**2))


def test_total_variation_golden_numbers():
    image = torch.tensor([[[[0.0, 1], [3, 7]]]])
    assert losses.total_variation(image).tolist() == [1 + 4 + 3 + 6]
    assert losses.total_variation(torch.full((2, 3, 5, 4), 0.3)).tolist() == [0, 0]


def test_gram_matrix_is_float32_where_half_precision_overflows():
    features = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    assert torch.equal(gram, torch.full((1, 2, 2), 90000.0))
    with torch.autocast("cpu", torch.bfloat16):
        exact = gram_matrix(torch.full((1, 2, 3, 3), 1.01))
    assert exact.dtype == torch.float32
    assert torch.allclose(exact, torch.tensor(1.01**2))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gram_matrix_has_the_gradient_of_its_definition(memory_format):
    features = torch.randn(2, 3, 4, 5).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(2, 3, 3)
    positions = features.flatten(2)
    (expected,) = torch.autograd.grad((positions @ positions.mT / 20 * weight).sum(), features)
    (gradient,) = torch.autograd.grad((gram_matrix(features) * weight).sum(), features)
    assert torch.allclose(gradient, expected, atol=1e-6)


def make_loss(vgg, painting, objective="relative", **weights):
    grams = {name: gram_matrix(map_)[0] for name, map_ in vgg(painting, ["relu1_2", "relu3_3"]).items()}
    weights = {"content_weight": 1.0, "style_weight": 1.0, "tv_weight": 1.0} | weights
    return PerceptualLoss(vgg, grams, ["relu3_3"], objective, **weights)


@pytest.mark.parametrize("objective", list(losses.OBJECTIVES))
def test_objective_is_the_weighted_sum_and_zero_where_it_should_be(vgg, objective):
    photo, painting = torch.rand(2, 3, 32, 32), torch.rand(1, 3, 32, 32)
    loss = make_loss(vgg, painting, objective, content_weight=2.0, style_weight=3.0, tv_weight=5.0)
    terms = loss(photo, loss.content_features(photo))
    assert terms.content.item() == 0 and terms.style.item() > 0 and terms.tv.item() > 0
    assert terms.total.item() == pytest.approx((3 * terms.style + 5 * terms.tv).item())
    other = loss(photo.flip(3), loss.content_features(photo))
    assert other.content.item() > 0
    assert other.total.item() == pytest.approx((2 * other.content + 3 * other.style + 5 * other.tv).item())
    same = loss(painting, loss.content_features(painting))
    assert same.style.item() == pytest.approx(0, abs=1e-8)


def test_the_terms_are_those_of_the_papers(vgg):
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
    variation = losses.total_variation(pastiche)
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
    }
    assert expected.keys() == losses.OBJECTIVES.keys()
    for objective, terms in expected.items():
        loss = make_loss(vgg, painting, objective)
        found = loss(pastiche, loss.content_features(photo))
        assert torch.allclose(torch.stack(found[1:]), torch.stack([term.squeeze() for term in terms]), rtol=1e-4)


def test_gradient_reaches_the_pastiche_and_nothing_else(vgg):
    photo = torch.rand(1, 3, 32, 32)
    loss = make_loss(vgg, torch.rand(1, 3, 32, 32))
    pastiche = torch.rand(1, 3, 32, 32, requires_grad=True)
    content = loss.content_features(photo)
    assert not any(features.requires_grad for features in content.values())
    loss(pastiche, content).total.backward()
    assert pastiche.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_unknown_objective_is_refused(vgg):
    with pytest.raises(UserError, match="relative, johnson, gatys"):
        make_loss(vgg, torch.rand(1, 3, 32, 32), "perceptual")


def test_a_weave_of_cells_has_grid_energy_and_texture_and_gradients_have_not():
    weave = (0.5 + 0.1 * torch.randn(1, 3, CELL, CELL)).repeat(1, 1, 24, 24)
    texture, gradient = 0.5 + 0.1 * torch.randn(1, 3, 96, 96), torch.linspace(0, 1, 96).expand(1, 3, 96, 96)
    assert grid_energy(weave) > 20 * grid_energy(texture)
    assert grid_energy(gradient) < 1e-9
    assert grid_energy(torch.cat([weave, texture])).tolist() == [grid_energy(weave), grid_energy(texture)]
    assert grid_energy(F.pad(weave, (0, 3, 0, 2), mode="replicate")) == grid_energy(weave)


def test_instability_is_what_a_shift_changes_beside_the_shift():
    photos = torch.rand(2, 3, 32, 32)
    assert instability(lambda x: x, photos, photos).item() == pytest.approx(SENSOR_NOISE**2, rel=0.1)
    pattern = torch.rand(1, 3, 32, 32)  # that stays where it is, whatever the photograph does
    unstable = instability(lambda x: x + pattern, photos, photos + pattern).item()
    assert unstable > 0.1
