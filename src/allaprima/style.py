"""Style: a painting as the Gram matrices of a loss network's layers, in a file that stands in for the picture."""

import hashlib
import http.client
import io
import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from allaprima import weights
from allaprima.color import color_statistics
from allaprima.errors import UserError
from allaprima.images import ImageError, open_upright, to_tensor, write_atomically
from allaprima.losses import gram_matrix
from allaprima.settings import check_names, check_sides
from allaprima.shipped import shipped_file, shipped_names
from allaprima.vgg import VGG, canonical_name

DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class Style:
    """A painting, ready to train towards.

    Attributes:
        name: what its network will be called.
        title, artist, year, source: of the painting; source is a public address or a file's name.
        sha256: of the picture file it was read from, in hexadecimal.
        loss_network: identity of the weights that made the matrices (`VGGWeights.identity`).
        grams: per size (short side of the painting in pixels), per layer, (C, C) float32 over H W.
        colors: (4, 3) float32, `color_statistics` of the painting, in [0, 1].
    """

    name: str
    title: str
    artist: str
    year: str
    source: str
    sha256: str
    loss_network: str
    grams: Mapping[int, Mapping[str, Tensor]] = field(repr=False)
    colors: Tensor = field(repr=False)

    def targets(self, loss_network: str, layers: Sequence[str], size: int) -> dict[str, Tensor]:
        """The Gram matrices to train towards, (C, C) float32 over H W per layer.

        Raises:
            UserError: they were made with another loss network, at other sizes or for other layers.
        """
        if self.loss_network != loss_network:
            raise UserError(
                f"style '{self.name}' was read with {self.loss_network}, not {loss_network}: "
                "give the picture itself with style.image=PATH, or use the loss.weights it was read with"
            )
        if size not in self.grams:
            raise UserError(
                f"style '{self.name}' was read at {sorted(self.grams)} pixels: set style.size to one of these"
            )
        found = self.grams[size]
        missing = [layer for layer in layers if layer not in found]
        if missing:
            raise UserError(
                f"style '{self.name}' has no layer {', '.join(missing)}, only {', '.join(found)}: "
                "give the picture itself with style.image=PATH"
            )
        return {layer: found[layer] for layer in layers}

    def write(self, path: Path) -> None:
        """Write as safetensors: the upper half of each matrix in half precision, scaled to its largest entry."""
        tensors = {"colors": self.colors}
        for size, layers in self.grams.items():
            for layer, gram in layers.items():
                rows, columns = torch.triu_indices(*gram.shape)
                scale = gram.abs().max()
                tensors[f"{size}/{layer}"] = (gram[rows, columns] / scale).half()
                tensors[f"{size}/{layer}/scale"] = scale.float()
        named = [item.name for item in fields(self) if item.name not in ("grams", "colors")]
        described = {name: getattr(self, name) for name in named}
        write_atomically(path, save(tensors, {"style": json.dumps(described)}))


def read_style(path: Path) -> Style:
    """Read a file that `Style.write` wrote. Raises UserError if it is none."""
    try:
        with safe_open(path, "pt") as file:
            described = json.loads(file.metadata()["style"])
            grams: dict[int, dict[str, Tensor]] = {}
            colors = file.get_tensor("colors")
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                if key.count("/") == 1:
                    size, layer = key.split("/")
                    half = file.get_tensor(key).float() * file.get_tensor(f"{key}/scale")
                    grams.setdefault(int(size), {})[layer] = _symmetric(half)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a style file of this project: give a picture with style.image=PATH") from error
    return Style(**described, grams=grams, colors=colors)


def _symmetric(upper: Tensor) -> Tensor:
    channels = int((2 * len(upper)) ** 0.5)
    rows, columns = torch.triu_indices(channels, channels)
    gram = torch.empty(channels, channels)
    gram[rows, columns] = gram[columns, rows] = upper
    return gram


def shipped_style(name: str) -> Style:
    """A painting that the project carries. Raises UserError if it does not."""
    path = shipped_file(f"models/styles/{name}.safetensors")
    if path is None:
        names = ", ".join(shipped_names("models/styles"))
        raise UserError(f"there is no style '{name}': take one of {names}, or your own with style.image=PATH")
    return read_style(path)


def on_the_web(source: str) -> bool:
    """Whether a picture is named by its web address, not by its path."""
    return source.startswith(("http://", "https://"))


def fetch_picture(source: str) -> bytes:
    """The content of a picture file at a path or web address. Raises ImageError if it cannot be had."""
    if not on_the_web(source):
        try:
            return Path(source).expanduser().read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {source}: {error.strerror}") from error
        except RuntimeError as error:  # a tilde before the name of nobody
            raise ImageError(f"cannot read {source}: {error}") from error
    try:
        request = urllib.request.Request(source, headers={"User-Agent": "allaprima (style transfer)"})
        with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS) as response:
            page, content = response.headers.get_content_type() == "text/html", response.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ImageError(
            f"cannot download {source} ({reason}): check the address, or save the picture and give its path"
        ) from error
    if page:
        raise ImageError(f"{source} is a web page: give the address of the picture itself")
    return content


@torch.no_grad()
def read_painting(
    painting: Image.Image, vgg: VGG, layers: Sequence[str], sizes: Sequence[int]
) -> tuple[dict[int, dict[str, Tensor]], Tensor]:
    """Gram matrices and colours of a painting.

    Args:
        painting: an RGB picture.
        vgg: the loss network, in float32.
        layers: names of its layers; aliases are stored under the name used here.
        sizes: short sides to read the painting at.

    Returns:
        What `Style` has as `grams` and `colors`, the latter at the last of `sizes`.
    """
    if min(painting.size) < max(sizes):
        print(f"the painting has only {painting.width} x {painting.height} pixels: a larger one has more to learn from")
    names = [canonical_name(layer, vgg.depth) for layer in layers]
    grams = {}
    for size in sizes:
        scale = size / min(painting.size)
        pixels = to_tensor(ImageOps.scale(painting, scale, Image.Resampling.LANCZOS))[None]
        features = vgg(pixels, names)
        grams[size] = {name: gram_matrix(features[name])[0] for name in names}
    return grams, color_statistics(pixels)[0]


def painting_style(source: str, vgg: VGG, loss_network: str, layers: Sequence[str], sizes: Sequence[int]) -> Style:
    """The style of any picture, at a path or web address, named after its file.

    Raises:
        ImageError: it is not there, or not a picture.
    """
    content = fetch_picture(source)
    painting = open_upright(io.BytesIO(content), name=source).convert("RGB")
    grams, colors = read_painting(painting, vgg, layers, sizes)
    name = picture_name(source)
    digest = hashlib.sha256(content).hexdigest()
    address = source if on_the_web(source) else Path(source).name
    return Style(name, name, "unknown", "", address, digest, loss_network, grams, colors)


def picture_name(source: str) -> str:
    """What a picture's style and results are called, by its path or web address."""
    return Path(source.split("?")[0] if on_the_web(source) else source).stem


def write_style(config: DictConfig) -> None:
    """Write the style file of the painting that `configs/read_style.yaml` describes.

    Raises:
        UserError: no picture is given, it cannot be read, or the file cannot be written.
    """
    if not config.style.image:
        raise UserError("style.image is missing: give the painting's picture, style.image=PATH")
    check_sides(config, "sizes")
    check_names(config, "loss.style_layers")
    source = weights.load(str(config.loss.weights), config.loss.depth)
    vgg = VGG(source, config.loss.style_layers)
    style = painting_style(str(config.style.image), vgg, source.identity, config.loss.style_layers, config.sizes)
    described = {name: config.style[name] for name in ("name", "title", "artist", "year", "source")}
    path = Path(str(config.output))
    replace(style, **described).write(path)
    print(f"{config.style.title} as {path}, {path.stat().st_size / 1e6:.2f} MB")
