import importlib.metadata

import pytest
import torch
from torch import nn
from torchvision.models import vgg16, vgg19

from allaprima import weights
from allaprima.errors import UserError
from allaprima.vgg import VGG, canonical_name, layer_names


def test_layers_have_torchvisions_numbers():
    for depth, build in ((16, vgg16), (19, vgg19)):
        kinds = {"conv": nn.Conv2d, "relu": nn.ReLU, "pool": nn.MaxPool2d}
        features = build(weights=None).features
        assert len(features) == len(layer_names(depth))
        for name, module in zip(layer_names(depth), features, strict=True):
            assert isinstance(module, kinds[name[:4]])


def test_keras_names_are_aliases():
    assert canonical_name("block4_conv2", 16) == "relu4_2"
    assert canonical_name("block5_pool", 19) == "pool5"
    assert canonical_name("conv4_2", 16) == "conv4_2"
    with pytest.raises(UserError, match="VGG-16 has no layer 'relu3_4'"):
        canonical_name("relu3_4", 16)


def test_craft_without_batch_norm_computes_what_craft_does(craft, vgg):
    file = next(file for file in importlib.metadata.files(weights.CRAFT_PACKAGE) if file.name == weights.CRAFT_FILE)
    state = torch.load(file.locate(), map_location="cpu", weights_only=True)
    images = torch.rand(1, 3, 48, 40)
    x = (images - torch.tensor(weights.IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(weights.IMAGENET_STD).view(3, 1, 1)

    def parameters(index):
        prefix = next(key for key in state if f".{index}.weight" in key and "slice5" not in key).removesuffix("weight")
        return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}

    # Torchvision's vgg16_bn, up to its tenth convolution, relu4_3.
    index = 0
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512):
        if width == "M":
            x, index = nn.functional.max_pool2d(x, 2), index + 1
            continue
        convolution, norm = parameters(index), parameters(index + 1)
        x = nn.functional.conv2d(x, convolution["weight"], convolution["bias"], padding=1)
        x = nn.functional.batch_norm(x, norm["running_mean"], norm["running_var"], norm["weight"], norm["bias"]).relu()
        index += 3
    found = vgg(images, ["relu4_3"])["relu4_3"]
    assert found.shape == (1, 512, 6, 5)
    assert torch.allclose(found, x, atol=1e-3, rtol=1e-3)


def test_computes_no_further_than_asked(vgg):
    reached = []
    hooks = [module.register_forward_hook(lambda module, *_: reached.append(module)) for module in vgg.features]
    vgg(torch.rand(1, 3, 32, 32), ["relu2_1"])
    for hook in hooks:
        hook.remove()
    assert len(reached) == layer_names(16).index("relu2_1") + 1


def test_a_layer_before_its_rectifier_keeps_its_negative_values(craft):
    found = VGG(craft, ["conv2_1", "relu2_1"])(torch.rand(1, 3, 16, 16), ["conv2_1", "relu2_1"])
    assert found["conv2_1"].min() < 0
    assert torch.equal(found["conv2_1"].relu(), found["relu2_1"])


def test_weights_from_a_file_and_from_torchs_cache(tmp_path, monkeypatch):
    state = {key: value for key, value in vgg19(weights=None).state_dict().items() if key.startswith("features")}
    torch.save(state, tmp_path / "mine.pth")
    mine = weights.load(str(tmp_path / "mine.pth"), 19)
    images = torch.rand(1, 3, 32, 32)
    direct = vgg19(weights=None).features
    direct.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (weights.IMAGENET_MEAN, weights.IMAGENET_STD))
    expected = direct[: layer_names(19).index("relu3_4") + 1]((images - mean) / std)
    assert torch.allclose(VGG(mine, ["relu3_4"])(images, ["relu3_4"])["relu3_4"], expected, atol=1e-5)

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(state, cache / "vgg19-dcbb9e9d.pth")
    cached = weights.load("imagenet", 19)
    assert cached.identity.startswith("imagenet-vgg19-") and cached.identity != mine.identity
    small = {key: value for key, value in vgg16(weights=None).state_dict().items() if key.startswith("features")}
    torch.save(small, cache / "vgg16_features-amdegroot-88682ab5.pth")
    caffe = weights.load("imagenet", 16)
    assert caffe.std == pytest.approx((1 / 255,) * 3)
    assert torch.equal(caffe.state_dict["features.0.weight"], small["features.0.weight"])


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("nowhere.pth", 16, "neither craft nor imagenet"),
        ("craft", 19, "VGG-16"),
        ("craft", 11, "16 or 19"),
        (__file__, 16, "not a PyTorch state dict"),
    ],
)
def test_wrong_weights_are_refused(name, depth, words):
    with pytest.raises(UserError, match=words):
        weights.load(name, depth)


def test_layers_that_the_weights_lack_are_refused(craft):
    with pytest.raises(UserError, match="conv5_3"):
        VGG(craft, ["relu5_3"])


def test_damaged_craft_is_refused(monkeypatch):
    monkeypatch.setattr(weights, "sha256_of", lambda path: "0" * 64)
    with pytest.raises(UserError, match="force-reinstall"):
        weights.load("craft")
