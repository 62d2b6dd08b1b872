import os
import shutil
import subprocess
import sys

from allaprima.media.images import read_picture

from .conftest import COFFEE, TOP


def test_wheel_is_complete(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, TOP], check=True)
    (wheel,) = tmp_path.glob("allaprima-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", tmp_path / "site", wheel], check=True)
    shutil.copy(COFFEE, tmp_path / "coffee.png")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for line in ("infer input=coffee.png size=64 output=painted.png", "export style=udnie --cfg job"):
        command = [sys.executable, tmp_path / "site/bin/allaprima", *line.split()]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert read_picture(tmp_path / "painted.png").image.shape == read_picture(COFFEE).image.shape
    where = "import allaprima, sys; print(allaprima.__file__, 'torch' in sys.modules, allaprima.Stylizer.__name__)"
    told = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert told.stdout.split() == [str(tmp_path / "site/allaprima/__init__.py"), "False", "Stylizer"]
