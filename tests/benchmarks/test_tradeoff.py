import dataclasses

import pytest
from PIL import Image

from allaprima import networks
from allaprima.networks.files import load_network, write_network
from allaprima.networks.settings import NetworkSettings

from ..conftest import COFFEE


def test_tradeoff_benchmark(in_this_process, run_script, refused, tmp_path):
    pytest.importorskip("nncf")
    built = {"name": "realtime", "width": 8, "blocks": 1}
    metadata = dataclasses.replace(load_network("udnie")[1], network=NetworkSettings(**built))
    write_network(tmp_path / "mine.safetensors", networks.build(NetworkSettings(**built)), metadata)
    small = ("tradeoff", "benchmark.size=64", "benchmark.runs=2", "benchmark.rounds=1", "data.validation_size=64")
    files = "benchmark.networks=[mine.safetensors]"
    result = run_script("benchmark.py", *small, "style=udnie", files)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[2:-1]]
    assert {tuple(row[:2]) for row in rows} == {("mine.safetensors", "native"), ("mine.safetensors", "int8")}
    milliseconds, objectives = ([float(row[place]) for row in rows] for place in (2, 3))
    assert milliseconds == sorted(milliseconds, reverse=True)
    assert [float(row[4]) for row in rows] == pytest.approx([each / min(objectives) for each in objectives], abs=1e-3)
    assert Image.open(tmp_path / "measured/tradeoff/udnie.png").width > 400
    refused(["benchmark.py", *small, "style=kandinsky", files], "paints Udnie", "Composition VII")
    refused(["benchmark.py", *small, "benchmark.networks=[nobody]"], "no network 'nobody'")
    refused(["benchmark.py", *small, f"style.image={COFFEE}"], "no bundled network", "benchmark.networks=")
