import torch
import torch.nn.functional as F

from allaprima.networks.fast import padded


def test_circular_padding():
    x = torch.randn(2, 3, 8, 10, dtype=torch.double, requires_grad=True)
    assert torch.equal(padded(x, 3, circular=True), F.pad(x, (3,) * 4, mode="circular"))
    assert torch.autograd.gradcheck(lambda inputs: padded(inputs, 3, circular=True), x)
