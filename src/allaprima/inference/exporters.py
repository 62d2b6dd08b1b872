"""Networks as files for other programs: ONNX and OpenVINO, checked against PyTorch before they are written."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.inference.engines import (
    Paint,
    onnx_bytes,
    onnx_session,
    openvino_compiled,
    openvino_core,
    openvino_model,
)
from allaprima.inference.quantization import int8_model
from allaprima.media.files import write_atomically
from allaprima.networks.metadata import Metadata

LEAST_DECIBELS, LEAST_DECIBELS_INT8 = 40, 32


def write_onnx(
    folder: Path, name: str, network: nn.Module, metadata: Metadata, photos: list[Tensor]
) -> tuple[Path, float]:
    """Write NAME.onnx, the metadata among its properties; return its path and the least PSNR in decibels."""
    content = onnx_bytes(network, {"allaprima": metadata.as_json()})
    decibels = least_psnr(onnx_session(content), network, photos)
    path = folder / f"{name}.onnx"
    write_atomically(path, content)
    return path, decibels


def write_openvino(
    folder: Path, name: str, network: nn.Module, metadata: Metadata, photos: list[Tensor], int8: bool
) -> tuple[Path, float]:
    """Write NAME.xml and NAME.bin, the metadata as runtime information; return the first and the least PSNR.

    In int8 the names are NAME_int8.xml and NAME_int8.bin.

    Raises:
        UserError: in int8 it paints something else.
    """
    import openvino

    model = int8_model(network) if int8 else openvino_model(network)
    model.set_rt_info(metadata.as_json(), "allaprima")
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
        least = torch.tensor([psnr(paint(photo), network(photo)) for photo in photos]).min().item()
    if int8 and not least >= LEAST_DECIBELS_INT8:
        raise UserError(f"int8 is too coarse for this network, its pictures reach {least:.0f} dB: leave out int8=true")
    if not int8 and not least >= LEAST_DECIBELS:
        raise RuntimeError(f"the exported network differs from PyTorch's: {least} dB")
    return least


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures of any one shape, values in [0, 1], in decibels."""
    return (-10 * (x - y).square().mean().log10()).item()
