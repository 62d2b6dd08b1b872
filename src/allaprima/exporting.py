"""Networks as files for other programs: ONNX and OpenVINO, checked against PyTorch before they are written."""

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from allaprima.data.photos import held_out_photos, readable
from allaprima.engines import (
    ENGINES,
    Paint,
    not_installed,
    onnx_bytes,
    onnx_session,
    openvino_compiled,
    openvino_core,
    openvino_model,
)
from allaprima.errors import UserError
from allaprima.images import at_short_side, read_picture, write_atomically
from allaprima.network_file import chosen_network, load_network
from allaprima.quantization import INT8, int8_model
from allaprima.settings import check_switch

FORMATS = {"onnx": ENGINES["onnxruntime"][1], "openvino": ENGINES["openvino"][1]}
LEAST_DECIBELS, LEAST_DECIBELS_INT8 = 40, 32
# Short sides at which an exported network is checked, no multiples of 4, which are the cells that a network works on.
CHECKED = (161, 202, 255)


def export(config: DictConfig) -> Path:
    """Write the network that `configs/export.yaml` names in another format; any batch, any size.

    Returns:
        The file; an OpenVINO network's weights stand beside it as .bin.

    Raises:
        UserError: an option that cannot be done, or a package that the format needs is missing.
    """
    if config.format not in FORMATS:
        raise UserError(f"format={config.format}: take one of {', '.join(FORMATS)}")
    check_switch(config, "int8")
    if config.int8 and config.format != "openvino":
        raise UserError(f"format={config.format} has no int8: take format=openvino, or leave out int8=true")
    if missing := not_installed(INT8 if config.int8 else FORMATS[config.format]):
        raise UserError(f"format={config.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    path = chosen_network(config)
    network, metadata = load_network(path)
    photos = []
    for photo, short in zip(readable(held_out_photos(config.photos)), itertools.cycle(CHECKED), strict=False):
        photos.append(at_short_side(read_picture(photo).image[None], short))
    if config.format == "onnx":
        file, decibels = write_onnx(Path(str(config.output)), path.stem, network, metadata, photos)
    else:
        file, decibels = write_openvino(Path(str(config.output)), path.stem, network, metadata, photos, config.int8)
    computed = "int8" if config.int8 else "float32"
    print(f"{file}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in {computed}")
    return file


def write_onnx(
    folder: Path, name: str, network: nn.Module, metadata: dict[str, Any], photos: list[Tensor]
) -> tuple[Path, float]:
    """Write NAME.onnx, the metadata among its properties; return its path and the least PSNR in decibels."""
    content = onnx_bytes(network, {"allaprima": json.dumps(metadata)})
    decibels = least_psnr(onnx_session(content), network, photos)
    path = folder / f"{name}.onnx"
    write_atomically(path, content)
    return path, decibels


def write_openvino(
    folder: Path, name: str, network: nn.Module, metadata: dict[str, Any], photos: list[Tensor], int8: bool
) -> tuple[Path, float]:
    """Write NAME.xml and NAME.bin, the metadata as runtime information; return the first and the least PSNR.

    In int8 the names are NAME_int8.xml and NAME_int8.bin.

    Raises:
        UserError: in int8 it paints something else.
    """
    import openvino

    model = int8_model(network) if int8 else openvino_model(network)
    model.set_rt_info(json.dumps(metadata), "allaprima")
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "network.xml"
        openvino.save_model(model, file, compress_to_fp16=True)
        paint = openvino_compiled(openvino_core().read_model(file), "f32")
        decibels = least_psnr(paint, network, photos, int8)
        path = folder / f"{name}_int8.xml" if int8 else folder / f"{name}.xml"
        for suffix in (".bin", ".xml"):  # the description last: without its weights it would be no network
            write_atomically(folder / f"{path.stem}{suffix}", file.with_suffix(suffix).read_bytes())
    return path, decibels


def least_psnr(paint: Paint, network: nn.Module, photos: list[Tensor], int8: bool = False) -> float:
    """The least PSNR in decibels of an exported network against PyTorch in float32, on photographs (1, 3, H, W).

    Raises:
        UserError: in int8 it paints something else.
        RuntimeError: in float32 it paints something else.
    """
    with torch.inference_mode():
        least = torch.tensor([psnr(paint(photo), network.eval()(photo)) for photo in photos]).min().item()
    if int8 and not least >= LEAST_DECIBELS_INT8:
        raise UserError(f"int8 is too coarse for this network, its pictures reach {least:.0f} dB: leave out int8=true")
    if not int8 and not least >= LEAST_DECIBELS:
        raise RuntimeError(f"the exported network differs from PyTorch's: {least} dB")
    return least


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures of any one shape, values in [0, 1], in decibels."""
    return (-10 * (x - y).square().mean().log10()).item()
