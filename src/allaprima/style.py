"""Style: a painting as the Gram matrices of a loss network's layers, in a file that stands in for the picture."""

import hashlib
import http.client
import io
import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from omegaconf import DictConfig
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from allaprima import weights
from allaprima.errors import UserError
from allaprima.images import ImageError, open_upright, to_tensor, write_atomically
from allaprima.layers import canonical_name
from allaprima.losses import gram_matrix
from allaprima.shipped import shipped_file, shipped_names
from allaprima.vgg import VGG

DOWNLOAD_SECONDS = 30


@dataclass(frozen=True)
class Style:
    """A painting, ready to train towards.

    Attributes:
        name: what its network will be called.
        title, artist, year, source: of the painting; source is a public address or a file's name.
        sha256: of the picture file it was read from, in hexadecimal.
        grams: per loss network (`VGGWeights.identity`), size (short side of the painting in pixels) and layer,
            (C, C) float32 over H W.
    """

    name: str
    title: str
    artist: str
    year: str
    source: str
    sha256: str
    grams: Mapping[str, Mapping[int, Mapping[str, Tensor]]] = field(repr=False)

    def check_read_with(self, loss_network: str) -> None:
        """Raises UserError unless the painting was read with the loss network whose identity begins so."""
        if not any(identity.startswith(loss_network) for identity in self.grams):
            raise UserError(
                f"style '{self.name}' was read with {' and '.join(self.grams)}, not {loss_network}: "
                "give the picture itself with style.image=PATH, or use the loss.weights it was read with"
            )

    def targets(self, loss_network: str, layers: Sequence[str], size: int) -> dict[str, Tensor]:
        """The Gram matrices to train towards, (C, C) float32 over H W per layer.

        Raises:
            UserError: they were made with another loss network, at other sizes or for other layers.
        """
        self.check_read_with(loss_network)
        sizes = self.grams[loss_network]
        if size not in sizes:
            raise UserError(
                f"style '{self.name}' was read at {sorted(sizes)} pixels: set style.size to one of these, "
                "or give the picture itself with style.image=PATH"
            )
        found = sizes[size]
        missing = [layer for layer in layers if layer not in found]
        if missing:
            raise UserError(
                f"style '{self.name}' has no layer {', '.join(missing)}, only {', '.join(found)}: "
                "give the picture itself with style.image=PATH"
            )
        return {layer: found[layer] for layer in layers}

    def write(self, path: Path) -> None:
        """Write as safetensors: the upper half of each matrix, which is symmetric, in 8 bits (`_correlations`)."""
        tensors = {}
        for loss_network, sizes in self.grams.items():
            for size, layers in sizes.items():
                for layer, gram in layers.items():
                    key = f"{loss_network}/{size}/{layer}"
                    tensors[key], tensors[f"{key}/lengths"] = _compressed(gram)
        described = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "grams"}
        write_atomically(path, save(tensors, {"style": json.dumps(described)}))


def read_style(path: Path) -> Style:
    """Read a file that `Style.write` wrote. Raises UserError if it is none."""
    try:
        with safe_open(path, "pt") as file:
            described = json.loads(file.metadata()["style"])
            grams: dict[str, dict[int, dict[str, Tensor]]] = {}
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                if key.count("/") == 2:
                    loss_network, size, layer = key.split("/")
                    gram = _restored(file.get_tensor(key), file.get_tensor(f"{key}/lengths"))
                    grams.setdefault(loss_network, {}).setdefault(int(size), {})[layer] = gram
        return Style(**described, grams=grams)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a style file of this project: give a picture with style.image=PATH") from error


def _compressed(gram: Tensor) -> tuple[Tensor, Tensor]:
    # An entry over the lengths of both its channels is a cosine: 8 bits of it change |A|^2 by less than 1e-4.
    lengths = gram.diagonal().clamp(min=1e-12).sqrt()
    rows, columns = torch.triu_indices(*gram.shape)
    cosines = gram[rows, columns] / (lengths[rows] * lengths[columns])
    return (cosines * 127).round().to(torch.int8), lengths


def _restored(upper: Tensor, lengths: Tensor) -> Tensor:
    channels = len(lengths)
    rows, columns = torch.triu_indices(channels, channels)
    gram = torch.empty(channels, channels)
    gram[rows, columns] = gram[columns, rows] = upper.float() / 127 * lengths[rows] * lengths[columns]
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
) -> dict[int, dict[str, Tensor]]:
    """Gram matrices of a painting.

    Args:
        painting: an RGB picture.
        vgg: the loss network, in float32.
        layers: names of its layers; aliases are stored under the name used here.
        sizes: short sides to read the painting at.

    Returns:
        Per size and layer, (C, C) float32 over H W.
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
    return grams


def open_painting(source: str) -> tuple[Image.Image, str]:
    """A painting, an RGB picture, at a path or web address, and the SHA-256 of its file in hexadecimal.

    Raises:
        ImageError: it is not there, or not a picture.
    """
    content = fetch_picture(source)
    return open_upright(io.BytesIO(content), name=source).convert("RGB"), hashlib.sha256(content).hexdigest()


def painting_style(source: str, vgg: VGG, layers: Sequence[str], sizes: Sequence[int]) -> Style:
    """The style of any picture, at a path or web address, named after its file.

    Raises:
        ImageError: it is not there, or not a picture.
    """
    painting, digest = open_painting(source)
    name = picture_name(source)
    address = source if on_the_web(source) else Path(source).name
    grams = {vgg.identity: read_painting(painting, vgg, layers, sizes)}
    return Style(name, name, "unknown", "", address, digest, grams)


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
    painting, digest = open_painting(str(config.style.image))
    grams = {}
    for reading in config.readings:
        vgg = VGG(weights.load(str(reading.weights), reading.depth), reading.layers)
        grams[vgg.identity] = read_painting(painting, vgg, reading.layers, reading.sizes)
    described = {name: config.style[name] for name in ("name", "title", "artist", "year", "source")}
    path = Path(str(config.output))
    Style(**described, sha256=digest, grams=grams).write(path)
    print(f"{config.style.title} as {path}, {path.stat().st_size / 1e6:.2f} MB")
