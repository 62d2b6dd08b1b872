"""What computes a network: PyTorch always, OpenVINO or ONNX Runtime where they are installed and faster."""

import functools
import importlib.util
import itertools
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from allaprima.errors import UserError
from allaprima.hardware import fastest_precision
from allaprima.inference.folding import Folding, Paint
from allaprima.networks.base import TransformationNetwork

# OpenVINO and NNCF tell Google Analytics of every use, from processes that start while pictures are computed and slow
# them down up to five times. Where this package cannot be imported they tell nobody.
sys.modules.setdefault("openvino_telemetry", None)

INPUT = "photographs"
CODE = "code"
OUTPUT = "pastiches"
MANY = 3  # pictures with a short side of 1024 pixels, from which on OpenVINO's start takes less than it saves
EXAMPLE = torch.full((2, 3, 65, 66), 0.5)


class Exported(nn.Module):
    """A network as engines and other programs take it: with one code folded in, or the code as a second input."""

    def __init__(self, network: TransformationNetwork, code: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("folded", code)  # a traced module has a `code` of its own
        self.example = (EXAMPLE,) if code is not None else (EXAMPLE, network.code())
        self.names = (INPUT, CODE)[: len(self.example)]

    def forward(self, photos: Tensor, code: Tensor | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1], and (K,), to the first shape and range."""
        return self.network(photos, self.folded if code is None else code)


def torch_engine(network: TransformationNetwork, device: str = "cpu") -> Paint:
    """PyTorch on one of its devices, in bfloat16 where that computes in it; takes several codes and their shares, too.

    See `TransformationNetwork.forward`.
    """
    network = network.to(device, memory_format=torch.channels_last)
    native = fastest_precision(device) == "bf16-mixed"

    def paint(*inputs: Tensor | None) -> Tensor:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=native):
            return network(*(each if each is None else each.to(device) for each in inputs)).cpu()

    return paint


def openvino_engine(network: TransformationNetwork, code: Tensor | None = None) -> Paint:
    """OpenVINO, in bfloat16 where the processor computes in it; see `Exported`."""
    return openvino_compiled(openvino_model(network, code))


def openvino_model(network: TransformationNetwork, code: Tensor | None = None) -> Any:
    """A network as OpenVINO holds it, for any batch and any size; see `Exported`."""
    import openvino

    exported = Exported(network, code)
    shapes = [-1, 3, -1, -1], [network.codes.shape[-1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch says of the way in which OpenVINO reads a network
        model = openvino.convert_model(
            exported, example_input=exported.example, input=list(shapes[: len(exported.names)])
        )
    for given, name in zip(model.inputs, exported.names, strict=True):
        given.tensor.set_names({name})
    model.outputs[0].tensor.set_names({OUTPUT})
    return model


@functools.cache
def openvino_core() -> Any:
    """OpenVINO itself, once for the whole process.

    Each one puts a signal stack of its own in the place of the last and frees it when it ends. Of two that overlap the
    later restores one that is freed already, and the next signal, of a child that ended say, kills the process.
    """
    import openvino

    return openvino.Core()


def openvino_compiled(model: Any, precision: str | None = None) -> Paint:
    """What `openvino_model` gives, ready to paint in f32 or bf16; None: the faster one on this processor."""
    precision = precision or ("bf16" if fastest_precision("cpu") == "bf16-mixed" else "f32")
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino_core().compile_model(model, "CPU", settings)
    lock = threading.Lock()  # one request at a time: a Stylizer may be called from several threads

    def paint(*inputs: Tensor) -> Tensor:
        with lock:
            return torch.from_numpy(compiled([each.contiguous().numpy() for each in inputs])[0].copy())

    return paint


def onnx_bytes(
    network: TransformationNetwork, code: Tensor | None = None, properties: Mapping[str, str] | None = None
) -> bytes:
    """A network as an ONNX file with such properties, for any batch and any size; see `Exported`."""
    exported = Exported(network, code)
    shapes = {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}, None
    program = torch.onnx.export(
        exported.eval(),  # which PyTorch asks for; it changes nothing here
        exported.example,
        dynamo=True,
        dynamic_shapes=shapes[: len(exported.names)],
        input_names=list(exported.names),
        output_names=[OUTPUT],
        verbose=False,
    )
    program.model.metadata_props.update(properties or {})
    model = program.model_proto
    taken, given = (value[0].type.tensor_type.shape.dim for value in (model.graph.input, model.graph.output))
    for side in (2, 3):  # which PyTorch calls by how they are computed
        given[side].dim_param = taken[side].dim_param
    return model.SerializeToString()


def onnx_session(content: bytes) -> Paint:
    """An ONNX file's content, ready to paint."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def paint(*inputs: Tensor) -> Tensor:
        named = zip((INPUT, CODE), (each.contiguous().numpy() for each in inputs), strict=False)
        return torch.from_numpy(session.run(None, dict(named))[0])

    return paint


def onnxruntime_engine(network: TransformationNetwork, code: Tensor | None = None) -> Paint:
    """ONNX Runtime, in float32; see `Exported`."""
    return onnx_session(onnx_bytes(network, code))


# Each with the packages that it needs.
ENGINES: dict[str, tuple[Callable[..., Paint], tuple[str, ...]]] = {
    "openvino": (openvino_engine, ("openvino",)),
    "onnxruntime": (onnxruntime_engine, ("onnxruntime", "onnx", "onnxscript")),
    "torch": (torch_engine, ()),
}


def not_installed(packages: Sequence[str]) -> list[str]:
    """Those packages that are not installed."""
    return [package for package in packages if importlib.util.find_spec(package) is None]


def missing_packages(engine: str) -> list[str]:
    """Packages that an engine needs and that are not installed."""
    return not_installed(ENGINES[engine][1])


def load_engine(network: TransformationNetwork, engine: str, device: str) -> Paint:
    """What paints photographs, (B, 3, H, W), by a code, (K,), with an engine of `ENGINES`.

    Raises UserError if that is not installed or knows no such device.
    """
    if engine not in ENGINES:
        raise UserError(f"engine={engine}: take one of auto, {', '.join(ENGINES)}")
    if missing := not_installed(ENGINES[engine][1]):
        raise UserError(f"engine={engine} needs {', '.join(missing)}: pip install {' '.join(missing)}")
    if engine == "torch":
        return torch_engine(network, device)
    if device != "cpu":
        raise UserError(f"engine={engine} computes on a processor alone: give device=cpu, or engine=torch")
    return Folding(functools.partial(ENGINES[engine][0], network))


def by_speed() -> list[str]:
    """Names of the engines, the fastest on this processor first; ONNX Runtime does not compute in bfloat16."""
    bfloat16 = fastest_precision("cpu") == "bf16-mixed"
    return ["openvino", "torch", "onnxruntime"] if bfloat16 else ["openvino", "onnxruntime", "torch"]


def fastest_engine() -> str:
    """The fastest engine that is installed."""
    return next(name for name in by_speed() if not missing_packages(name))


def engine_for(pictures: int) -> str:
    """The engine that finishes first with a number of pictures: all but PyTorch need seconds to compile a network."""
    return "torch" if pictures < MANY else fastest_engine()


def faster_note(engine: str, pictures: int) -> str:
    """After many pictures, which faster engines are not installed and what they need; after few, or none, nothing."""
    missing = {name: missing_packages(name) for name in by_speed()[: by_speed().index(engine)]}
    faster = [f"{name} (needs {', '.join(packages)})" for name, packages in missing.items() if packages]
    if pictures < MANY or not faster:
        return ""
    packages = dict.fromkeys(itertools.chain(*missing.values()))
    return f"; faster would be {' or '.join(faster)}: pip install {' '.join(packages)}"
