import cv2
import numpy as np
import pytest

from allaprima.inference import live
from allaprima.media.camera import Camera
from allaprima.media.window import Window

from ..conftest import TIMES, make_clip, paint
from .conftest import read_clip


class FileCamera(Camera):
    """A camera that films a clip, as fast as it can be read."""

    clip = None

    def __init__(self, number):
        with pytest.MonkeyPatch.context() as patch:
            capture = cv2.VideoCapture
            patch.setattr(cv2, "VideoCapture", lambda _: capture(str(self.clip)))
            super().__init__(number)


@pytest.fixture
def camera(tmp_path, monkeypatch):
    FileCamera.clip = make_clip(tmp_path / "clip.mp4", 64, 48, sound=False)
    monkeypatch.setattr(live, "Camera", FileCamera)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def test_camera_is_recorded(tmp_path, camera):
    (written,) = paint("input=camera:0", f"output={tmp_path / 'painted.mp4'}", "strength=0", "smooth=0")
    times, pictures, _ = read_clip(written)
    assert 1 <= len(times) <= len(TIMES) and times == sorted(set(times))
    # Frames that come while one is painted are passed over, but for the newest.
    last = read_clip(FileCamera.clip)[1][-1]
    assert np.abs(pictures[-1].astype(float) - last).mean() < 8
    assert not list(tmp_path.glob(".allaprima-*"))


def test_camera_is_shown(monkeypatch, camera):
    shown = []

    class Screen(Window):
        def __init__(self, title):
            self.title = title

        def show(self, picture, note):
            shown.append(picture)
            return False

        def close(self):
            shown.append("closed")

    monkeypatch.setattr(live, "Window", Screen)
    assert paint("input=camera:0", "fast=true") == []
    assert len(shown) == 2 and shown[0].shape == (48, 64, 3) and shown[1] == "closed"


def test_missing_screen(refused, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    refused(["infer.py", "input=camera:77"], "no screen")


def test_missing_camera(refused, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    for output, words in (("painted", "no screen"), ("painted.mp4", "no camera 77"), ("painted.jpg", ".mp4")):
        refused(["infer.py", "input=camera:77", f"output={tmp_path / output}"], words)
    refused(["infer.py", "input=[camera:0,photo.jpg]"], "alone")
    refused(["infer.py", "input=camera:0", "style=all"], "one painting")
    assert not list(tmp_path.iterdir())
