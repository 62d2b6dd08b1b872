import pytest
import torch

from allaprima.losses.gram import gram_matrix


def test_gram_golden_numbers():
    layer = torch.arange(1.0, 9).view(1, 2, 2, 2)
    assert (gram_matrix(layer) * 4).tolist() == [[[30, 70], [70, 174]]]
    assert gram_matrix(layer).tolist() == [[[7.5, 17.5], [17.5, 43.5]]]


def test_gram_matrix_is_float32():
    features = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    assert torch.equal(gram, torch.full((1, 2, 2), 90000.0))
    with torch.autocast("cpu", torch.bfloat16):
        exact = gram_matrix(torch.full((1, 2, 3, 3), 1.01))
    assert exact.dtype == torch.float32
    assert torch.allclose(exact, torch.tensor(1.01**2))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gram_matrix_gradient(memory_format):
    features = torch.randn(2, 3, 4, 5).contiguous(memory_format=memory_format).requires_grad_()
    weight = torch.randn(2, 3, 3)
    positions = features.flatten(2)
    (expected,) = torch.autograd.grad((positions @ positions.mT / 20 * weight).sum(), features)
    (gradient,) = torch.autograd.grad((gram_matrix(features) * weight).sum(), features)
    assert torch.allclose(gradient, expected, atol=1e-6)
