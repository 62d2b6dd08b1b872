"""Networks as files for other programs: ONNX and OpenVINO, checked against PyTorch before they are written."""

import json
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from allaprima.errors import UserError
from allaprima.inference import engines
from allaprima.inference.quantization import int8_model
from allaprima.media.files import write_atomically
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.metadata import Metadata

LEAST_DECIBELS = 40
LEAST_DECIBELS_INT8 = 32


def write_codes(path: Path, network: TransformationNetwork) -> Path:
    """Write a network's codes as JSON, by painting a list of one or two, the calm one first; the file."""
    rows = network.codes.detach().numpy().astype("float16").astype("float64").round(5).tolist()
    write_atomically(path, json.dumps(dict(zip(network.paintings, rows, strict=True))).encode())
    return path


def write_onnx(
    path: Path, network: TransformationNetwork, metadata: Metadata, photos: list[Tensor], code: Tensor | None
) -> float:
    """Write an ONNX file, the metadata among its properties; the least PSNR in decibels, see `least_psnr`.

    With one code, (K,), folded in, or for None as a second input.
    """
    content = engines.onnx_bytes(network, code, {"allaprima": metadata.as_json()})
    decibels = least_psnr(engines.onnx_session(content), network, photos, code)
    write_atomically(path, content)
    return decibels


def write_openvino(
    path: Path,
    network: TransformationNetwork,
    metadata: Metadata,
    photos: list[Tensor],
    code: Tensor | None,
    int8: bool,
) -> float:
    """Write an .xml file with the metadata as runtime information, and a .bin beside it; see `write_onnx`."""
    import openvino

    model = int8_model(network, code) if int8 else engines.openvino_model(network, code)
    model.set_rt_info(metadata.as_json(), "allaprima")
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "network.xml"
        openvino.save_model(model, file, compress_to_fp16=True)
        paint = engines.openvino_compiled(engines.openvino_core().read_model(file), "f32")
        decibels = least_psnr(paint, network, photos, code, int8)
        for suffix in (".bin", ".xml"):  # the description last: without its weights it would be no network
            write_atomically(path.with_suffix(suffix), file.with_suffix(suffix).read_bytes())
    return decibels


def least_psnr(
    paint: engines.Paint,
    network: TransformationNetwork,
    photos: list[Tensor],
    code: Tensor | None,
    int8: bool = False,
) -> float:
    """The least PSNR in decibels of an exported network against PyTorch in float32, on photographs (1, 3, H, W).

    Without a code that is folded in, by that of all paintings alike.

    Where it paints something else, raises UserError in int8, RuntimeError in float32.
    """
    with torch.inference_mode():
        given = (network.code(),) if code is None else ()
        least = torch.tensor([psnr(paint(photo, *given), network(photo, code)) for photo in photos]).min().item()
    if int8 and not least >= LEAST_DECIBELS_INT8:
        raise UserError(f"int8 is too coarse for this network, its pictures reach {least:.0f} dB: leave out int8=true")
    if not int8 and not least >= LEAST_DECIBELS:
        raise RuntimeError(f"the exported network differs from PyTorch's: {least} dB")
    return least


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures of any one shape, values in [0, 1], in decibels."""
    return (-10 * (x - y).square().mean().log10()).item()
