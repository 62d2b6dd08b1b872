"""A painting read for the objectives, into a style file."""

from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig
from pydantic import Field

from allaprima.commands.groups import StyleSettings
from allaprima.commands.settings import Depth, Settings, Sides, Text, Texts
from allaprima.errors import UserError
from allaprima.losses import vgg_weights
from allaprima.losses.style import Style, open_painting, read_painting
from allaprima.losses.vgg import VGG


class ReadingSettings(Settings):
    """A reading of a painting: by which loss network, and at which short sides in pixels."""

    weights: Text
    depth: Depth
    layers: Texts
    sizes: Sides


class ReadStyleSettings(Settings):
    """`configs/read_style.yaml`."""

    style: StyleSettings
    readings: Annotated[list[ReadingSettings], Field(min_length=1)]
    output: Text


def write_style(config: DictConfig) -> None:
    """Write the style file of the painting that `configs/read_style.yaml` describes.

    Raises:
        UserError: no picture is given, it cannot be read, or the file cannot be written.
    """
    settings = ReadStyleSettings.read(config)
    if not settings.style.image:
        raise UserError("style.image is missing: give the painting's picture, style.image=PATH")
    painting, digest = open_painting(settings.style.image)
    grams = {}
    for reading in settings.readings:
        vgg = VGG(vgg_weights.load(reading.weights, reading.depth), reading.layers)
        grams[vgg.identity] = read_painting(painting, vgg, reading.layers, reading.sizes)
    described = settings.style.model_dump(exclude={"image", "size"})
    path = Path(settings.output)
    Style(**described, sha256=digest, grams=grams).write(path)
    print(f"{settings.style.title} as {path}, {path.stat().st_size / 1e6:.2f} MB")
