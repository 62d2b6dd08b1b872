"""A network written for other programs, as `configs/export.yaml` says."""

import itertools
from pathlib import Path
from typing import Annotated, Literal

from omegaconf import DictConfig

from allaprima.commands.network_choice import NetworkChoice
from allaprima.data.photos import readable
from allaprima.errors import UserError
from allaprima.inference.engines import ENGINES, not_installed
from allaprima.inference.exporters import write_codes, write_onnx, write_openvino
from allaprima.inference.quantization import INT8
from allaprima.inference.stylizer import Stylizer
from allaprima.inference.webpage import write_page
from allaprima.limits import Text, number_or
from allaprima.losses.style import chosen_styles
from allaprima.media.files import check_writable
from allaprima.media.images import read_photo
from allaprima.media.inputs import held_out_photos
from allaprima.networks.base import BOLDEST
from allaprima.networks.files import load_network

ONNX = ENGINES["onnxruntime"][1]
FORMATS = {"onnx": ONNX, "openvino": ENGINES["openvino"][1], "web": ONNX}
# Short sides at which an exported network is checked, no multiples of 4, which are the cells that a network works on.
CHECKED = (161, 202, 255)

RUNTIME_FOLDER = "ort"  # of a page, written first: all that is there of one that was interrupted
PAGE_TITLE = b"<title>Alla Prima</title>"


class ExportSettings(NetworkChoice):
    """`configs/export.yaml`."""

    format: Literal["onnx", "openvino", "web"]
    int8: bool
    output: Text
    photos: Text | None
    boldness: Annotated[float | Literal["input"] | None, number_or("input", BOLDEST, lambda text: text == "input")]


def export(config: DictConfig) -> Path:
    """Write the network that `configs/export.yaml` names in another format, any batch and size; the file."""
    settings = ExportSettings.read(config)
    if settings.int8 and settings.format != "openvino":
        raise UserError(f"format={settings.format} has no int8: take format=openvino, or leave out int8=true")
    if settings.photos and settings.format == "web":
        raise UserError("format=web checks no network on photographs: leave out photos=")
    if missing := not_installed(INT8 if settings.int8 else FORMATS[settings.format]):
        raise UserError(f"format={settings.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    folder = Path(settings.output)
    if settings.format == "web":
        check_writable(folder / "web" / "index.html")
        return export_page(settings)
    path = settings.network_file()
    suffix = ".onnx" if settings.format == "onnx" else "_int8.xml" if settings.int8 else ".xml"
    file = folder / f"{path.stem}{suffix}"
    check_writable(file)
    stylizer = Stylizer.load(path, settings.style.shares or settings.style.name, "torch", "cpu")
    code = None if settings.boldness == "input" else stylizer.code(settings.boldness)
    shorts = itertools.cycle(CHECKED)
    photos = [read_photo(photo, next(shorts)) for photo in readable(held_out_photos(settings.photos))]
    exported = stylizer.network, stylizer.metadata, photos, code
    if settings.format == "onnx":
        decibels = write_onnx(file, *exported)
    else:
        decibels = write_openvino(file, *exported, settings.int8)
    computed = "int8" if settings.int8 else "float32"
    print(f"{file}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in {computed}")
    if code is None:
        table = write_codes(folder / f"{path.stem}_codes.json", stylizer.network)
        print(f"its second input is the code: {table} has those of its paintings, calm to bold")
    return file


def export_page(settings: ExportSettings) -> Path:
    """Write a page that paints in a browser, by `model` or by the network made for speed of `style`, or of all."""
    if settings.model:
        files = [settings.network_file()]
    else:
        files = [settings.network_file(style, fast=True) for style in chosen_styles(settings.style.name)]
    folder = Path(settings.output) / "web"
    check_page_folder(folder)
    write_page(folder, {path.stem: load_network(path) for path in files})
    print(f"{folder} is a page for any web server; to look at it here: python -m http.server -d {folder}")
    print("then open http://localhost:8000")
    return folder


def check_page_folder(folder: Path) -> None:
    """Raises UserError for a folder with files of someone else's, which a page would be written among or over."""
    try:
        there = [path.name for path in folder.iterdir() if path.name != RUNTIME_FOLDER]
        page = folder / "index.html"
        if there and not (page.is_file() and PAGE_TITLE in page.read_bytes()):
            raise UserError(f"{folder} holds files that are not of this page: give another output=, or move them away")
    except FileNotFoundError:
        return
