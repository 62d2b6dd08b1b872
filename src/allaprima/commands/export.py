"""A network written for other programs, as `configs/export.yaml` says."""

import itertools
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from allaprima.commands.groups import StyleSettings
from allaprima.commands.paths import chosen_network
from allaprima.commands.settings import Settings, Text
from allaprima.data.photos import held_out_photos, readable
from allaprima.errors import UserError
from allaprima.inference.engines import ENGINES, not_installed
from allaprima.inference.exporters import write_onnx, write_openvino
from allaprima.inference.quantization import INT8
from allaprima.media.images import at_short_side, read_picture
from allaprima.networks.files import load_network

FORMATS = {"onnx": ENGINES["onnxruntime"][1], "openvino": ENGINES["openvino"][1]}
# Short sides at which an exported network is checked, no multiples of 4, which are the cells that a network works on.
CHECKED = (161, 202, 255)


class ExportSettings(Settings):
    """`configs/export.yaml`."""

    style: StyleSettings
    model: Text | None
    format: Literal["onnx", "openvino"]
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
    path = chosen_network(settings)
    network, metadata = load_network(path)
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
