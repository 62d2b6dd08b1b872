import subprocess
import sys

import pytest
import torch

from allaprima import networks
from allaprima.errors import UserError
from allaprima.inference import engines
from allaprima.inference.stylizer import Stylizer
from allaprima.networks.settings import NetworkSettings

from .conftest import paints_alike


@pytest.mark.parametrize("name", engines.ENGINES)
@pytest.mark.parametrize("kind", ["bundled", "johnson", "realtime"])
def test_engines_agree(name, kind, kandinsky, odd_photos):
    for package in engines.missing_packages(name):
        pytest.importorskip(package)
    network = kandinsky
    if kind != "bundled":
        network = networks.build(NetworkSettings(name=kind, width=16, blocks=1, painting_noise=0.1))
    assert paints_alike(by_code(name, network), network, odd_photos, 38)


def by_code(name, network):
    """What an engine paints with the code that a network has."""
    paint, code = engines.load_engine(network, name, "cpu"), network.code().detach()
    return lambda photo: paint(photo, code)


@torch.no_grad()
@pytest.mark.parametrize("name", engines.ENGINES)
def test_any_code_after_another(name):
    for package in engines.missing_packages(name):
        pytest.importorskip(package)
    network = networks.build(NetworkSettings(name="realtime", width=16, blocks=1))
    paint = engines.load_engine(network, name, "cpu")
    first, second = torch.randn(2, network.codes.shape[-1])
    photo = torch.rand(1, 3, 33, 50)
    assert (network(photo, first) - network(photo, second)).abs().mean() > 0.01
    for code in (first, first, second, first):
        assert (paint(photo, code) - network(photo, code)).abs().mean() < 2e-3


@pytest.mark.parametrize("name", engines.ENGINES)
def test_small_pictures(name, kandinsky):
    for package in engines.missing_packages(name):
        pytest.importorskip(package)
    photos = [torch.rand(1, 3, *size) for size in ((1, 1), (7, 5), (1, 40), (16, 16))]
    assert paints_alike(by_code(name, kandinsky), kandinsky, photos, 30)


def test_no_telemetry():
    pytest.importorskip("openvino")
    from openvino.tools.ovc import telemetry_utils

    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


def test_signals_still_arrive():
    pytest.importorskip("openvino")
    program = """
import signal
from allaprima.inference import engines
from allaprima import networks
from allaprima.networks.settings import NetworkSettings

signal.signal(signal.SIGCHLD, lambda *_: print("arrived"))
small = NetworkSettings(name="realtime", width=8, blocks=1)
first, second = (engines.openvino_engine(networks.build(small)) for _ in range(2))
del first
del second
signal.raise_signal(signal.SIGCHLD)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == "arrived", result.stderr


def test_missing_engines_are_skipped(monkeypatch):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [] if name == "torch" else ["something"])
    assert Stylizer.load("kandinsky").engine == engines.engine_for(100) == "torch"
    note = engines.faster_note("torch", 100)
    assert "openvino (needs something)" in note and note.endswith("pip install something")


def test_unavailable_engines_are_refused(monkeypatch):
    with pytest.raises(UserError, match="engine=onnx: take one of auto, openvino, onnxruntime, torch"):
        Stylizer.load("kandinsky", engine="onnx")
    monkeypatch.setattr(engines, "not_installed", lambda packages: list(packages))
    with pytest.raises(UserError, match="engine=openvino needs openvino: pip install openvino"):
        Stylizer.load("kandinsky", engine="openvino")


def test_engine_choice(monkeypatch):
    monkeypatch.setattr(engines, "missing_packages", lambda name: [])
    assert engines.engine_for(100) == "openvino" and engines.faster_note("openvino", 100) == ""
    assert engines.engine_for(1) == "torch" and engines.faster_note("torch", 1) == ""
