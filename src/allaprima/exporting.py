"""Networks as files for other programs: ONNX and OpenVINO, checked against PyTorch before they are written."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from allaprima.data.photos import held_out_photos, readable
from allaprima.engines import missing_packages, onnx_bytes, onnx_session, openvino_compiled, openvino_model
from allaprima.errors import UserError
from allaprima.images import at_short_side, read_picture, write_atomically
from allaprima.network_file import load_network

FORMATS = {"onnx": "onnxruntime", "openvino": "openvino"}
LEAST_DECIBELS = 40
# Short sides at which an exported network is checked: odd ones, since a network works on cells of 4 pixels.
CHECKED = (161, 202, 255)


def export(config: DictConfig) -> Path:
    """Write the network that `configs/export.yaml` names in another format; any batch, any size of 16 pixels or more.

    Returns:
        The file; an OpenVINO network's weights stand beside it as .bin.

    Raises:
        UserError: an option that cannot be done, or a package that the format needs is missing.
    """
    if config.format not in FORMATS:
        raise UserError(f"format={config.format}: take one of {', '.join(FORMATS)}")
    if missing := missing_packages(FORMATS[config.format]):
        raise UserError(f"format={config.format} needs {', '.join(missing)}: pip install 'allaprima[export]'")
    network, metadata = load_network(config.model or config.style.name)
    name = Path(str(config.model)).stem if config.model else config.style.name
    photos = [read_picture(path).image[None] for path in readable(held_out_photos(config.photos))]
    write = write_onnx if config.format == "onnx" else write_openvino
    path, decibels = write(Path(str(config.output)) / name, network, metadata, photos)
    print(f"{path}: as PyTorch paints, to {decibels:.0f} dB or better on {len(photos)} photographs, in float32")
    return path


def write_onnx(stem: Path, network: nn.Module, metadata: dict[str, Any], photos: list[Tensor]) -> tuple[Path, float]:
    """Write STEM.onnx, the metadata among its properties; return its path and the least PSNR in decibels."""
    content = onnx_bytes(network, {"allaprima": json.dumps(metadata)})
    decibels = checked(onnx_session(content), network, photos)
    path = stem.with_suffix(".onnx")
    write_atomically(path, content)
    return path, decibels


def write_openvino(
    stem: Path, network: nn.Module, metadata: dict[str, Any], photos: list[Tensor]
) -> tuple[Path, float]:
    """Write STEM.xml and STEM.bin, the metadata as runtime information; return the first and the least PSNR."""
    import openvino

    model = openvino_model(network)
    model.set_rt_info(json.dumps(metadata), "allaprima")
    decibels = checked(openvino_compiled(model, "f32"), network, photos)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.xml"
        openvino.save_model(model, file, compress_to_fp16=True)
        for suffix in (".bin", ".xml"):  # the description last: without its weights it would be no network
            write_atomically(stem.with_suffix(suffix), file.with_suffix(suffix).read_bytes())
    return stem.with_suffix(".xml"), decibels


def checked(paint: Any, network: nn.Module, photos: list[Tensor]) -> float:
    """The least PSNR in decibels of an exported network against PyTorch, in float32, on photographs of odd sizes.

    Raises:
        RuntimeError: it paints something else.
    """
    decibels = []
    for photo, short in zip(photos, CHECKED * len(photos), strict=False):
        content = at_short_side(photo, short)
        with torch.inference_mode():
            decibels.append(psnr(paint(content), network.eval()(content)))
    if min(decibels) < LEAST_DECIBELS:
        raise RuntimeError(f"the exported network differs from PyTorch's: {min(decibels):.1f} dB")
    return min(decibels)


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures of any one shape, values in [0, 1], in decibels."""
    return (-10 * (x - y).square().mean().log10()).item()
