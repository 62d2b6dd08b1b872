import pytest
from torch import nn
from torchvision.models import vgg16, vgg19

from allaprima.errors import UserError
from allaprima.losses.layers import canonical_name, layer_names


def test_layer_numbers():
    for depth, build in ((16, vgg16), (19, vgg19)):
        kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}
        features = build(weights=None).features
        assert len(features) == len(layer_names(depth))
        for name, module in zip(layer_names(depth), features, strict=True):
            assert isinstance(module, kinds[name[:4]])


def test_keras_names():
    assert canonical_name("block4_conv2", 16) == "relu4_2"
    assert canonical_name("block5_pool", 19) == "pool5"
    assert canonical_name("conv4_2", 16) == "conv4_2"
    with pytest.raises(UserError, match="VGG-16 has no layer 'relu3_4'"):
        canonical_name("relu3_4", 16)
