import dataclasses
import json
import re
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

from allaprima import networks
from allaprima.commands.compare import network_objective
from allaprima.commands.export import export
from allaprima.data.photos import STARTER_VALIDATION, packaged_photos
from allaprima.errors import UserError
from allaprima.inference import engines, exporters
from allaprima.inference.exporters import psnr
from allaprima.inference.quantization import INT8
from allaprima.inference.stylizer import Stylizer
from allaprima.media.images import at_short_side, read_picture
from allaprima.networks.files import load_network, write_network

from .conftest import TOP, settings

ODD = (101, 162, 255)


@pytest.fixture(scope="module")
def photos():
    """Real photographs of three odd sizes, (1, 3, H, W) each."""
    paths = packaged_photos(STARTER_VALIDATION[:3])
    return [at_short_side(read_picture(path).image[None], short) for path, short in zip(paths, ODD, strict=True)]


@pytest.fixture(scope="module")
def network():
    return load_network("kandinsky")[0]


@torch.inference_mode()
def painted_alike(paint, network, photos, decibels):
    return all(psnr(paint(photo), network(photo)) >= decibels for photo in photos)


@pytest.mark.parametrize("name", engines.ENGINES)
@pytest.mark.parametrize("kind", ["bundled", "johnson", "realtime"])
def test_every_engine_paints_the_same_picture(name, kind, network, photos):
    for package in engines.missing_packages(name):
        pytest.importorskip(package)
    if kind != "bundled":
        network = networks.build(kind, width=16, blocks=1, painting_noise=0.1)
    assert painted_alike(engines.ENGINES[name][0](network), network, photos, 38)


@pytest.mark.parametrize("name", engines.ENGINES)
def test_every_engine_paints_the_smallest_pictures(name, network):
    for package in engines.missing_packages(name):
        pytest.importorskip(package)
    photos = [torch.rand(1, 3, *size) for size in ((1, 1), (7, 5), (1, 40), (16, 16))]
    assert painted_alike(engines.ENGINES[name][0](network), network, photos, 30)


def test_nobody_is_told_of_what_is_computed():
    pytest.importorskip("openvino")
    from openvino.tools.ovc import telemetry_utils

    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_onnx_files_paint_the_same_picture_and_say_what_they_are(command, network, photos, tmp_path):
    onnx = pytest.importorskip("onnx")
    result = command("export.py", "style=kandinsky", "format=onnx")
    assert result.returncode == 0, result.stderr
    file = tmp_path / "exported/kandinsky.onnx"
    assert painted_alike(engines.onnx_session(file.read_bytes()), network, photos, 40)
    properties = {item.key: item.value for item in onnx.load(file).metadata_props}
    assert json.loads(properties["allaprima"]) == load_network("kandinsky")[1].as_dict()
    paint = engines.onnx_session(file.read_bytes())
    pair = torch.cat([photos[0], photos[0].flip(3)])
    assert torch.allclose(paint(pair)[:1], paint(photos[0]), atol=1e-3)


def test_one_painting_of_a_network_for_several_is_exported(command, photos, tmp_path):
    pytest.importorskip("onnx")
    result = command("export.py", "model=base/johnson", "style=udnie", "format=onnx")
    assert result.returncode == 0, result.stderr
    udnie = Stylizer.load("base/johnson", "udnie", engine="torch").network
    assert painted_alike(engines.onnx_session((tmp_path / "exported/johnson.onnx").read_bytes()), udnie, photos, 40)


def test_openvino_files_paint_the_same_picture_and_say_what_they_are(command, network, photos, tmp_path):
    pytest.importorskip("openvino")
    result = command("export.py", "style=kandinsky", "format=openvino")
    assert result.returncode == 0, result.stderr
    assert re.search(r"to \d+ dB or better", result.stdout)
    model = engines.openvino_core().read_model(tmp_path / "exported/kandinsky.xml")
    assert painted_alike(engines.openvino_compiled(model, "f32"), network, photos, 40)
    assert json.loads(model.get_rt_info("allaprima").astype(str)) == load_network("kandinsky")[1].as_dict()


def test_int8_files_paint_nearly_the_same_picture_to_nearly_the_same_objective(command, network, photos, tmp_path):
    pytest.importorskip("nncf")
    result = command("export.py", "style=kandinsky", "format=openvino", "int8=true")
    assert result.returncode == 0, result.stderr
    assert re.search(r"to \d+ dB or better on 4 photographs, in int8", result.stdout)
    model = engines.openvino_core().read_model(tmp_path / "exported/kandinsky_int8.xml")
    paint = engines.openvino_compiled(model, "f32")
    assert painted_alike(paint, network, photos, 38) and not painted_alike(paint, network, photos, 60)
    weights = (tmp_path / "exported/kandinsky_int8.bin").stat().st_size
    assert weights < 0.6 * (TOP / "models/kandinsky.safetensors").stat().st_size
    loss = network_objective(load_network("kandinsky")[1], None)[1]
    with torch.inference_mode():
        int8, float32 = (
            sum(loss(each(photo), loss.content_features(photo)).total for photo in photos) for each in (paint, network)
        )
    assert abs(int8 - float32) < 0.02 * float32


def test_signals_still_arrive_after_two_networks_came_and_went():
    pytest.importorskip("openvino")
    program = """
import signal
from allaprima.inference import engines
from allaprima import networks

signal.signal(signal.SIGCHLD, lambda *_: print("arrived"))
first, second = (engines.openvino_engine(networks.build("realtime", width=8, blocks=1)) for _ in range(2))
del first
del second
signal.raise_signal(signal.SIGCHLD)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "arrived", result.stderr


def test_engines_that_are_not_installed_are_passed_over_and_named(monkeypatch):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [] if name == "torch" else ["something"])
    assert Stylizer.load("kandinsky").engine == engines.engine_for(100) == "torch"
    assert "openvino (needs something): pip install" in engines.faster_note("torch", 100)


def test_an_engine_that_cannot_be_had_is_refused(monkeypatch):
    with pytest.raises(UserError, match="engine=onnx: take one of auto, openvino, onnxruntime, torch"):
        Stylizer.load("kandinsky", engine="onnx")
    monkeypatch.setattr(engines, "not_installed", lambda packages: list(packages))
    with pytest.raises(UserError, match="engine=openvino needs openvino: pip install openvino"):
        Stylizer.load("kandinsky", engine="openvino")


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8), (1, 8, 8, 3), (4, 8, 8)])
def test_a_tensor_that_is_no_picture_is_refused(shape):
    stylizer = Stylizer.load("kandinsky", engine="torch")
    with pytest.raises(ValueError, match="give"):
        stylizer(torch.rand(shape))
    with pytest.raises(TypeError, match="uint8"):
        stylizer(torch.zeros(3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_tensor_of_another_floating_type_comes_back_as_one(dtype):
    stylizer = Stylizer.load("kandinsky", engine="torch")
    photo = torch.rand(3, 32, 32, dtype=dtype)
    pastiche = stylizer(photo, strength=0.5)
    assert pastiche.dtype == dtype
    assert torch.allclose(pastiche.float(), stylizer(photo.float(), strength=0.5), atol=1e-3)


def test_an_engine_that_starts_slowly_is_for_many_pictures(monkeypatch):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [])
    assert engines.engine_for(100) == "openvino" and engines.faster_note("openvino", 100) == ""
    assert engines.engine_for(1) == "torch" and engines.faster_note("torch", 1) == ""


def test_a_network_that_paints_something_else_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    built = {"name": "realtime", "width": 8, "blocks": 1}
    network, metadata = networks.build(**built), dataclasses.replace(load_network("kandinsky")[1], network=built)
    path = tmp_path / "mine.v2.safetensors"
    config = settings("export", f"model={path}", "format=openvino", f"output={tmp_path}/out")
    with pytest.raises(RuntimeError, match="differs"):
        exporters.least_psnr(lambda photos: photos * torch.nan, network, [torch.rand(1, 3, 32, 32)])
    write_network(path, network, metadata)
    monkeypatch.setattr(exporters, "LEAST_DECIBELS", 1000)
    with pytest.raises(RuntimeError, match="differs"):
        export(config)
    if not engines.not_installed(INT8):
        monkeypatch.setattr(exporters, "LEAST_DECIBELS_INT8", 1000)
        with pytest.raises(UserError, match="too coarse"):
            export(OmegaConf.merge(config, {"int8": True}))
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    assert export(config).name == "mine.v2.xml"


def test_mistakes_are_told_in_one_line(refused):
    refused(["export.py", "format=tflite"], "tflite", "onnx")
    refused(["export.py", "format=onnx", "int8=true"], "onnx", "openvino")
    refused(["export.py", "format=openvino", "int8=no_thanks"], "int8", "true or false")
    refused(["export.py", "style=mona_lisa"], "mona_lisa", "kandinsky")
