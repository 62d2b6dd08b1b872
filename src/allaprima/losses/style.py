"""Style: a painting as the Gram matrices of a loss network's layers, in a file that stands in for the picture."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from allaprima.errors import UserError
from allaprima.losses.gram import gram_matrix
from allaprima.losses.layers import canonical_name
from allaprima.losses.vgg import VGG
from allaprima.media.bundled import bundled_file, bundled_names
from allaprima.media.files import fetch_picture, on_the_web, without_secrets, write_atomically
from allaprima.media.images import open_upright, to_tensor
from allaprima.media.painting import Painting


@dataclass(frozen=True, kw_only=True)
class Style(Painting):
    """A painting, ready to train towards.

    Attributes:
        grams: per loss network (`VGGWeights.identity`), size (short side of the painting in pixels) and layer,
            (C, C) float32 over H W.
    """

    grams: Mapping[str, Mapping[int, Mapping[str, Tensor]]] = field(repr=False)

    @property
    def painting(self) -> Painting:
        """What is known of it, without its Gram matrices."""
        return Painting(**{item.name: getattr(self, item.name) for item in fields(Painting)})

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
        write_atomically(path, save(tensors, {"style": json.dumps(asdict(self.painting))}))


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


def bundled_style(name: str) -> Style:
    """A bundled painting. Raises UserError if there is none of that name."""
    path = bundled_file(f"models/styles/{name}.safetensors")
    if path is None:
        names = ", ".join(bundled_names("models/styles"))
        raise UserError(f"there is no style '{name}': take one of {names}, or your own with style.image=PATH")
    return read_style(path)


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
        FileError: it is not there, or not a picture.
    """
    content = fetch_picture(source)
    return open_upright(io.BytesIO(content), name=source).convert("RGB"), hashlib.sha256(content).hexdigest()


def painting_style(source: str, vgg: VGG, layers: Sequence[str], sizes: Sequence[int]) -> Style:
    """The style of any picture, at a path or web address, named after its file.

    Raises:
        FileError: it is not there, or not a picture.
    """
    painting, digest = open_painting(source)
    name = picture_name(source)
    address = without_secrets(source) if on_the_web(source) else Path(source).name
    grams = {vgg.identity: read_painting(painting, vgg, layers, sizes)}
    return Style(name=name, title=name, artist="unknown", year="", source=plain(address), sha256=digest, grams=grams)


def picture_name(source: str) -> str:
    """What a picture's style and results are called, by its path or web address."""
    return plain(Path(source.split("?")[0] if on_the_web(source) else source).stem)


def plain(text: str) -> str:
    """A text for a network's metadata, which take no control characters and no interpolations."""
    return "".join(character if character.isprintable() else "_" for character in text).replace("${", "_{")
