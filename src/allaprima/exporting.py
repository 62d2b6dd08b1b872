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
    Paint,
    missing_packages,
    onnx_bytes,
    onnx_session,
    openvino_compiled,
    openvino_core,
    openvino_model,
)
from allaprima.errors import UserError
from allaprima.images import at_short_side, read_picture, write_atomically
from allaprima.network_file import chosen_network, load_network

FORMATS = {"onnx": "onnxruntime", "openvino": "openvino"}
LEAST_DECIBELS = 40
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
    if missing := missing_packages(FORMATS[config.format]):
        raise UserError(f"format={config.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    path = chosen_network(config)
    network, metadata = load_network(path)
    photos = []
    for photo, short in zip(readable(held_out_photos(config.photos)), itertools.cycle(CHECKED), strict=False):
        photos.append(at_short_side(read_picture(photo).image[None], short))
    write = write_onnx if config.format == "onnx" else write_openvino
    file, decibels = write(Path(str(config.output)), path.stem, network, metadata, photos)
    print(f"{file}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in float32")
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
    folder: Path, name: str, network: nn.Module, metadata: dict[str, Any], photos: list[Tensor]
) -> tuple[Path, float]:
    """Write NAME.xml and NAME.bin, the metadata as runtime information; return the first and the least PSNR."""
    import openvino

    model = openvino_model(network)
    model.set_rt_info(json.dumps(metadata), "allaprima")
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "network.xml"
        openvino.save_model(model, file, compress_to_fp16=True)
        decibels = least_psnr(openvino_compiled(openvino_core().read_model(file), "f32"), network, photos)
        for suffix in (".bin", ".xml"):  # the description last: without its weights it would be no network
            write_atomically(folder / f"{name}{suffix}", file.with_suffix(suffix).read_bytes())
    return folder / f"{name}.xml", decibels


def least_psnr(paint: Paint, network: nn.Module, photos: list[Tensor]) -> float:
    """The least PSNR in decibels of an exported network against PyTorch, in float32, on photographs (1, 3, H, W).

    Raises:
        RuntimeError: it paints something else.
    """
    with torch.inference_mode():
        decibels = [psnr(paint(photo), network.eval()(photo)) for photo in photos]
    if not all(value >= LEAST_DECIBELS for value in decibels):
        raise RuntimeError(f"the exported network differs from PyTorch's: {decibels} dB")
    return min(decibels)


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures of any one shape, values in [0, 1], in decibels."""
    return (-10 * (x - y).square().mean().log10()).item()
