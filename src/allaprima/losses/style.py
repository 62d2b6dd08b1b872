"""Style: a painting as the Gram matrices of a loss network's layers, in a file that stands in for the picture."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from allaprima.errors import UserError, choice_advice
from allaprima.losses.gram import gram_matrix
from allaprima.losses.layers import canonical_name
from allaprima.losses.pieces import note_on_pieces, pieces
from allaprima.losses.vgg import VGG
from allaprima.media.bundled import bundled_file, bundled_names
from allaprima.media.download import fetch_picture, on_the_web, without_secrets
from allaprima.media.files import write_atomically
from allaprima.media.images import flattened, open_upright, to_tensor
from allaprima.media.inputs import find_photos
from allaprima.media.painting import Painting
from allaprima.old_names import translated

ALL = "all"  # every bundled painting
GIVE = "give the picture itself with style.image=PATH"


@dataclass(frozen=True, kw_only=True)
class Style(Painting):
    """A painting as the objective needs it."""

    # Per loss network (`VGGWeights.identity`), size (short side of the painting in pixels) and layer, (C, C) float32,
    # divided by H W.
    grams: Mapping[str, Mapping[int, Mapping[str, Tensor]]] = field(repr=False)

    @property
    def painting(self) -> Painting:
        """What is known of it, without its Gram matrices."""
        return Painting(**{item.name: getattr(self, item.name) for item in fields(Painting)})

    def sizes(self, identity_prefix: str) -> set[int]:
        """Short sides in pixels at which it was read with the loss network whose identity begins so.

        Raises UserError if it was read with others.
        """
        found = [set(sizes) for identity, sizes in self.grams.items() if identity.startswith(identity_prefix)]
        if not found:
            known = " and ".join(self.grams)
            raise UserError(f"'{self.name}' was read with {known}, not {identity_prefix}: {GIVE}, or its loss.weights")
        return set.union(*found)

    def targets(self, loss_network: str, layers: Sequence[str], size: int) -> dict[str, Tensor]:
        """The targets of the style term by layer, (C, C), divided by H W. Raises UserError if it was not read so."""
        sizes = sorted(self.sizes(loss_network))
        if size not in sizes:
            raise UserError(f"style '{self.name}' was read at {sizes} pixels: give one as style.size=, or {GIVE}")
        found = self.grams[loss_network][size]
        if missing := [layer for layer in layers if layer not in found]:
            raise UserError(f"style '{self.name}' has no layer {', '.join(missing)}, only {', '.join(found)}: {GIVE}")
        return {layer: found[layer] for layer in layers}

    def write(self, path: Path) -> None:
        """Write as safetensors: the upper half of each matrix, which is symmetric, in 8 bits (`_compressed`)."""
        tensors = {}
        for loss_network, sizes in self.grams.items():
            for size, layers in sizes.items():
                for layer, gram in layers.items():
                    key = f"{loss_network}/{size}/{layer}"
                    tensors[key], tensors[f"{key}/lengths"] = _compressed(gram)
        write_atomically(path, save(tensors, {"style": json.dumps(asdict(self.painting))}))


def load_style(path: Path) -> Style:
    """Read a file that `Style.write` wrote. Raises UserError if it is none."""
    try:
        with safe_open(path, "pt") as file:
            described = translated(json.loads(file.metadata()["style"]))
            grams: dict[str, dict[int, dict[str, Tensor]]] = {}
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                if key.count("/") == 2:
                    loss_network, size, layer = key.split("/")
                    gram = _restored(file.get_tensor(key), file.get_tensor(f"{key}/lengths"))
                    grams.setdefault(loss_network, {}).setdefault(int(size), {})[layer] = gram
        return Style(**described, grams=grams)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not a style file of this project: give a picture with style.image=PATH") from error


def _compressed(gram: Tensor) -> tuple[Tensor, Tensor]:
    # An entry over the lengths of both its channels is a cosine: 8 bits of it change |A|^2 by less than 1e-4.
    lengths = gram.diagonal().clamp(min=1e-12).sqrt()
    rows, columns = torch.triu_indices(*gram.shape)
    cosines = gram[rows, columns] / (lengths[rows] * lengths[columns])
    return (cosines * 127).round().to(torch.int8), lengths


def _restored(upper: Tensor, lengths: Tensor) -> Tensor:
    rows, columns = torch.triu_indices(len(lengths), len(lengths))
    gram = torch.empty(len(lengths), len(lengths))
    gram[rows, columns] = gram[columns, rows] = upper.float() / 127 * lengths[rows] * lengths[columns]
    return gram


def bundled_style(name: str) -> Style:
    """A bundled painting. Raises UserError if there is none of that name."""
    path = bundled_file(f"models/styles/{name}.safetensors")
    if path is None:
        advice = choice_advice(name, bundled_names("models/styles"))
        raise UserError(f"there is no style '{name}': {advice}, or your own with style.image=PATH")
    return load_style(path)


def chosen_styles(name: str) -> list[str]:
    """Names of the bundled paintings that are meant: of all of them by `all`, else the one."""
    return bundled_names("models/styles") if name == ALL else [name]


@torch.no_grad()
def painting_grams(
    painting: Image.Image, vgg: VGG, layers: Sequence[str], sizes: Sequence[int]
) -> dict[int, dict[str, Tensor]]:
    """Gram matrices of an RGB picture, per size (short side in pixels) and layer, (C, C) float32.

    They are divided by H W. The loss network is in float32; aliases of layers are stored under the name used here.
    """
    if min(painting.size) < max(sizes):
        print(f"the painting has only {painting.width} x {painting.height} pixels: a larger one has more to learn from")
    if note := note_on_pieces(painting):
        print(note)
    names = [canonical_name(layer, vgg.depth) for layer in layers]
    return {size: size_grams(painting, vgg, names, size) for size in sizes}


def size_grams(painting: Image.Image, vgg: VGG, names: Sequence[str], size: int) -> dict[str, Tensor]:
    """Gram matrices at one size: the mean of those of its pieces, which are equally large."""
    grams: dict[str, Tensor] = {}
    boxes = pieces(painting)
    for box in boxes:
        factor = size / min(painting.size)
        shape = round(factor * (box[2] - box[0])), round(factor * (box[3] - box[1]))
        features = vgg(to_tensor(painting.resize(shape, Image.Resampling.LANCZOS, box))[None], names)
        for name in names:
            grams[name] = grams.get(name, 0) + gram_matrix(features[name])[0] / len(boxes)
    return grams


def open_painting(source: str) -> tuple[Image.Image, str]:
    """An RGB picture at a path or web address, and the SHA-256 of its file. Raises FileError if it cannot be read.

    One with transparency is read on white, which is said.
    """
    content = fetch_picture(source)
    painting = open_upright(io.BytesIO(content), name=source)
    if painting.mode == "RGBA" and painting.getextrema()[3][0] < 255:
        print("the painting has transparency: it is read on white")
    return flattened(painting), hashlib.sha256(content).hexdigest()


def read_painting(source: str, vgg: VGG, layers: Sequence[str], sizes: Sequence[int]) -> Style:
    """The style of any picture, or of all pictures in a folder together, named after it.

    See `open_painting` and `painting_grams`, of which several pictures have the mean.
    """
    place = Path(os.path.expanduser(source))  # noqa: PTH111 (which raises nothing for ~nobody)
    folder = not on_the_web(source) and place.is_dir()
    pictures = [str(path) for path in find_photos(place)] if folder else [source]
    digests = []
    means: dict[int, dict[str, Tensor]] = {size: {} for size in sizes}
    for picture in pictures:
        painting, digest = open_painting(picture)
        digests.append(digest)
        for size, grams in painting_grams(painting, vgg, layers, sizes).items():
            for layer, gram in grams.items():
                means[size][layer] = means[size].get(layer, 0) + gram / len(pictures)
    digest = hashlib.sha256("".join(digests).encode()).hexdigest() if folder else digests[0]
    described = {"name": picture_name(source), "title": picture_name(source), "artist": "unknown", "year": ""}
    return Style(**described, source=public_source(source), sha256=digest, grams={vgg.identity: means})


def public_source(source: str) -> str:
    """Where a picture is from: its web address without secrets, or its file's name without the folder."""
    return printable(without_secrets(source) if on_the_web(source) else Path(source).name)


def picture_name(source: str) -> str:
    """What a picture's style and results are called, by its path or web address."""
    return printable(Path(source.split("?")[0] if on_the_web(source) else source).stem)


def printable(text: str) -> str:
    """A text for a network's metadata, which take no control characters and no interpolations."""
    return "".join(character if character.isprintable() else "_" for character in text).replace("${", "_{")
