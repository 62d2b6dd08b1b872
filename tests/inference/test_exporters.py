import dataclasses
import functools
import json
import re

import pytest
import torch
from omegaconf import OmegaConf

from allaprima import networks
from allaprima.commands.export import export
from allaprima.errors import UserError
from allaprima.evaluation.comparison import trained_objective
from allaprima.inference import engines, exporters
from allaprima.inference.quantization import INT8
from allaprima.inference.stylizer import Stylizer
from allaprima.networks.files import load_network, write_network
from allaprima.networks.settings import NetworkSettings

from ..conftest import TOP, compose_config
from .conftest import paints_alike


def test_onnx_export(run_script, kandinsky, odd_photos, tmp_path):
    onnx = pytest.importorskip("onnx")
    result = run_script("export.py", "style=kandinsky", "format=onnx")
    assert result.returncode == 0, result.stderr
    file = tmp_path / "exported/kandinsky.onnx"
    assert paints_alike(engines.onnx_session(file.read_bytes()), kandinsky, odd_photos, 40)
    properties = {item.key: item.value for item in onnx.load(file).metadata_props}
    assert json.loads(properties["allaprima"]) == load_network("kandinsky")[1].as_dict()
    (output,) = onnx.load(file).graph.output
    sides = [side.dim_param or side.dim_value for side in output.type.tensor_type.shape.dim]
    assert sides == ["batch", 3, "height", "width"]
    paint = engines.onnx_session(file.read_bytes())
    pair = torch.cat([odd_photos[0], odd_photos[0].flip(3)])
    assert torch.allclose(paint(pair)[:1], paint(odd_photos[0]), atol=1e-3)


def test_multistyle_export(run_script, odd_photos, tmp_path):
    pytest.importorskip("onnx")
    result = run_script("export.py", "model=base/johnson", "style=udnie", "format=onnx")
    assert result.returncode == 0, result.stderr
    udnie = functools.partial(Stylizer.load("base/johnson", "udnie", engine="torch"), brush=1)
    assert paints_alike(engines.onnx_session((tmp_path / "exported/johnson.onnx").read_bytes()), udnie, odd_photos, 40)


def test_export_with_the_code_as_an_input(run_script, odd_photos, tmp_path):
    pytest.importorskip("onnx")
    result = run_script("export.py", "model=base/johnson", "format=onnx", "boldness=input")
    assert result.returncode == 0, result.stderr
    codes = json.loads((tmp_path / "exported/johnson_codes.json").read_text())
    paint = engines.onnx_session((tmp_path / "exported/johnson.onnx").read_bytes())
    for name in ("udnie", "great_wave"):
        code = torch.tensor(codes[name][0])
        stylizer = functools.partial(Stylizer.load("base/johnson", name, engine="torch"), brush=1)
        assert paints_alike(lambda photo, code=code: paint(photo, code), stylizer, odd_photos[:1], 40)


def test_openvino_export(run_script, kandinsky, odd_photos, tmp_path):
    pytest.importorskip("openvino")
    result = run_script("export.py", "style=kandinsky", "format=openvino")
    assert result.returncode == 0, result.stderr
    assert re.search(r"to \d+ dB or better", result.stdout)
    model = engines.openvino_core().read_model(tmp_path / "exported/kandinsky.xml")
    assert paints_alike(engines.openvino_compiled(model, "f32"), kandinsky, odd_photos, 40)
    assert json.loads(model.get_rt_info("allaprima").astype(str)) == load_network("kandinsky")[1].as_dict()


def test_int8_export(run_script, kandinsky, odd_photos, tmp_path):
    pytest.importorskip("nncf")
    result = run_script("export.py", "style=kandinsky", "format=openvino", "int8=true")
    assert result.returncode == 0, result.stderr
    assert re.search(r"to \d+ dB or better on 4 photographs, in int8", result.stdout)
    model = engines.openvino_core().read_model(tmp_path / "exported/kandinsky_int8.xml")
    paint = engines.openvino_compiled(model, "f32")
    assert paints_alike(paint, kandinsky, odd_photos, 38) and not paints_alike(paint, kandinsky, odd_photos, 60)
    weights = (tmp_path / "exported/kandinsky_int8.bin").stat().st_size
    assert weights < 0.6 * (TOP / "models/kandinsky.safetensors").stat().st_size
    metadata = load_network("kandinsky")[1]
    loss = trained_objective(metadata, metadata.paintings[0], None)[1]
    with torch.inference_mode():
        int8, float32 = (
            sum(loss(each(photo), loss.content_features(photo)).total for photo in odd_photos)
            for each in (paint, kandinsky)
        )
    assert abs(int8 - float32) < 0.02 * float32


def test_inexact_exports_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    built = {"name": "realtime", "width": 8, "blocks": 1}
    network = networks.build(NetworkSettings(**built))
    metadata = dataclasses.replace(load_network("kandinsky")[1], network=NetworkSettings(**built))
    path = tmp_path / "mine.v2.safetensors"
    config = compose_config("export", f"model={path}", "format=openvino", f"output={tmp_path}/out")
    with pytest.raises(RuntimeError, match="differs"):
        exporters.least_psnr(lambda photos: photos * torch.nan, network, [torch.rand(1, 3, 32, 32)], network.code())
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
