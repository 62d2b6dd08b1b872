"""A network written for other programs, as `configs/export.yaml` says."""

import itertools
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig

from allaprima.commands.network_choice import NetworkChoice
from allaprima.data.photos import readable
from allaprima.errors import UserError
from allaprima.inference.engines import ENGINES, not_installed
from allaprima.inference.exporters import write_onnx, write_openvino
from allaprima.inference.quantization import INT8
from allaprima.inference.webpage import write_page
from allaprima.limits import Text
from allaprima.losses.style import chosen_styles
from allaprima.media.images import read_photo
from allaprima.media.inputs import held_out_photos
from allaprima.networks.files import load_single

ONNX = ENGINES["onnxruntime"][1]
FORMATS = {"onnx": ONNX, "openvino": ENGINES["openvino"][1], "web": ONNX}
# Short sides at which an exported network is checked, no multiples of 4, which are the cells that a network works on.
CHECKED = (161, 202, 255)


class ExportSettings(NetworkChoice):
    """`configs/export.yaml`."""

    format: Literal["onnx", "openvino", "web"]
    int8: bool
    output: Text
    photos: Text | None


def export(config: DictConfig) -> Path:
    """Write the network that `configs/export.yaml` names in another format, any batch and size; the file."""
    settings = ExportSettings.read(config)
    if settings.int8 and settings.format != "openvino":
        raise UserError(f"format={settings.format} has no int8: take format=openvino, or leave out int8=true")
    if missing := not_installed(INT8 if settings.int8 else FORMATS[settings.format]):
        raise UserError(f"format={settings.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    if settings.format == "web":
        return export_page(settings)
    path = settings.network_file()
    exported = load_single(path, settings.style.name)
    shorts = itertools.cycle(CHECKED)
    photos = [read_photo(photo, next(shorts)) for photo in readable(held_out_photos(settings.photos))]
    folder = Path(settings.output)
    if settings.format == "onnx":
        file = folder / f"{path.stem}.onnx"
        decibels = write_onnx(file, *exported, photos)
    else:
        file = folder / (f"{path.stem}_int8.xml" if settings.int8 else f"{path.stem}.xml")
        decibels = write_openvino(file, *exported, photos, settings.int8)
    computed = "int8" if settings.int8 else "float32"
    print(f"{file}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in {computed}")
    return file


def export_page(settings: ExportSettings) -> Path:
    """Write a page that paints in a browser, by `model` or by the network made for speed of `style`, or of all."""
    if settings.model:
        files = [settings.network_file()]
    else:
        files = [settings.network_file(style, fast=True) for style in chosen_styles(settings.style.name)]
    networks = {path.stem: load_single(path, settings.style.name) for path in files}
    folder = write_page(Path(settings.output) / "web", networks)
    print(f"{folder} is a page for any web server; to look at it here: python -m http.server -d {folder}")
    print("then open http://localhost:8000")
    return folder
