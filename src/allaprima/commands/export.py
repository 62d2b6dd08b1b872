"""A network written for other programs, as `configs/export.yaml` says."""

import itertools
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from allaprima.commands.groups import StyleSettings
from allaprima.commands.paths import ALL, chosen_network
from allaprima.commands.settings import Settings, Text
from allaprima.data.photos import held_out_photos, readable
from allaprima.errors import UserError
from allaprima.inference.engines import ENGINES, not_installed
from allaprima.inference.exporters import write_onnx, write_openvino
from allaprima.inference.quantization import INT8
from allaprima.inference.webpage import write_page
from allaprima.media.bundled import bundled_names
from allaprima.media.images import at_short_side, read_picture
from allaprima.networks.files import load_single

ONNX = ENGINES["onnxruntime"][1]
FORMATS = {"onnx": ONNX, "openvino": ENGINES["openvino"][1], "web": ONNX}
# Short sides at which an exported network is checked, no multiples of 4, which are the cells that a network works on.
CHECKED = (161, 202, 255)


class ExportSettings(Settings):
    """`configs/export.yaml`."""

    style: StyleSettings
    model: Text | None
    format: Literal["onnx", "openvino", "web"]
    int8: bool
    output: Text
    photos: Text | None


def export(config: DictConfig) -> Path:
    """Write the network that `configs/export.yaml` names in another format; any batch, any size.

    Returns:
        The file; an OpenVINO network's weights stand beside it as .bin.

    Raises:
        UserError: an option that cannot be done, or a package that the format needs is missing.
    """
    settings = ExportSettings.read(config)
    if settings.int8 and settings.format != "openvino":
        raise UserError(f"format={settings.format} has no int8: take format=openvino, or leave out int8=true")
    if missing := not_installed(INT8 if settings.int8 else FORMATS[settings.format]):
        raise UserError(f"format={settings.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    if settings.format == "web":
        return export_page(settings)
    path = chosen_network(settings)
    network, metadata = load_single(path, settings.style.name)
    photos = []
    for photo, short in zip(readable(held_out_photos(settings.photos)), itertools.cycle(CHECKED), strict=False):
        photos.append(at_short_side(read_picture(photo).image[None], short))
    if settings.format == "onnx":
        file, decibels = write_onnx(Path(settings.output), path.stem, network, metadata, photos)
    else:
        file, decibels = write_openvino(Path(settings.output), path.stem, network, metadata, photos, settings.int8)
    computed = "int8" if settings.int8 else "float32"
    print(f"{file}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in {computed}")
    return file


def export_page(settings: ExportSettings) -> Path:
    """Write a page that paints in a browser: with the network of `model`, or the one made for speed of `style`, or all.

    Raises:
        UserError: there is no such network, or the browser's runtime cannot be had.
    """
    if settings.model:
        names = [chosen_network(settings)]
    else:
        styles = bundled_names("models/styles") if settings.style.name == ALL else [settings.style.name]
        names = [chosen_network(settings, style, fast=True) for style in styles]
    networks = {path.stem: load_single(path, settings.style.name) for path in names}
    folder = write_page(Path(settings.output) / "web", networks)
    print(f"{folder} is a page for any web server; to look at it here: python -m http.server -d {folder}")
    print("then open http://localhost:8000")
    return folder
