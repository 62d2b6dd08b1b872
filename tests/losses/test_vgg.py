import pytest
import torch

from allaprima.errors import UserError
from allaprima.losses import vgg_weights
from allaprima.losses.layers import layer_names
from allaprima.losses.vgg import VGG


def test_no_further_layers_are_computed(vgg):
    reached = []
    hooks = [module.register_forward_hook(lambda module, *_: reached.append(module)) for module in vgg.features]
    vgg(torch.rand(1, 3, 32, 32), ["relu2_1"])
    for hook in hooks:
        hook.remove()
    assert len(reached) == layer_names(19).index("relu2_1") + 1


def test_negative_values_before_the_rectifier(caffe):
    found = VGG(caffe, ["conv2_1", "relu2_1"])(torch.rand(1, 3, 16, 16), ["conv2_1", "relu2_1"])
    assert found["conv2_1"].min() < 0
    assert torch.equal(found["conv2_1"].relu(), found["relu2_1"])


def test_missing_layers_are_refused(tmp_path, caffe):
    torch.save({key: caffe.state_dict[key] for key in ("features.0.weight", "features.0.bias")}, tmp_path / "short.pth")
    with pytest.raises(UserError, match="conv1_2"):
        VGG(vgg_weights.load(str(tmp_path / "short.pth"), 19), ["relu1_2"])
