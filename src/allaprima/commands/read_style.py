"""A painting read for the objectives, into a style file."""

from pathlib import Path

from omegaconf import DictConfig

from allaprima.errors import UserError
from allaprima.losses import vgg_weights
from allaprima.losses.style import Style, open_painting, read_painting
from allaprima.losses.vgg import VGG


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
        vgg = VGG(vgg_weights.load(str(reading.weights), reading.depth), reading.layers)
        grams[vgg.identity] = read_painting(painting, vgg, reading.layers, reading.sizes)
    described = {name: config.style[name] for name in ("name", "title", "artist", "year", "source")}
    path = Path(str(config.output))
    Style(**described, sha256=digest, grams=grams).write(path)
    print(f"{config.style.title} as {path}, {path.stat().st_size / 1e6:.2f} MB")
