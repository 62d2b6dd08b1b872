"""A painting read for the objectives, into a style file."""

from pathlib import Path
from typing import Annotated, Literal

from omegaconf import DictConfig
from pydantic import Field

from allaprima.commands.settings import Settings
from allaprima.limits import AnyText, Sides, Text, Texts
from allaprima.losses import vgg_weights
from allaprima.losses.style import Style, open_painting, painting_grams, public_source
from allaprima.losses.vgg import VGG
from allaprima.media.files import check_writable
from allaprima.media.painting import FileName


class ReadingSettings(Settings):
    """A reading of a painting: by which loss network, and at which short sides in pixels."""

    weights: Text
    depth: Literal[16, 19]
    layers: Texts
    sizes: Sides


class ReadStyleSettings(Settings):
    """`configs/read_style.yaml`."""

    image: Text
    name: FileName
    title: Text
    artist: AnyText
    year: AnyText
    source: AnyText
    readings: Annotated[list[ReadingSettings], Field(min_length=1)]
    output: Text


def write_style(config: DictConfig) -> None:
    """Write the style file of the painting that `configs/read_style.yaml` describes."""
    settings = ReadStyleSettings.read(config)
    path = Path(settings.output)
    check_writable(path)
    painting, digest = open_painting(settings.image)
    grams = {}
    for reading in settings.readings:
        vgg = VGG(vgg_weights.load(reading.weights, reading.depth), reading.layers)
        grams[vgg.identity] = painting_grams(painting, vgg, reading.layers, reading.sizes)
    described = settings.model_dump(include={"name", "title", "artist", "year"})
    Style(**described, source=public_source(settings.source), sha256=digest, grams=grams).write(path)
    print(f"{settings.title} as {path}, {path.stat().st_size / 1e6:.2f} MB")
