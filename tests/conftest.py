import contextlib
import functools
import http.server
import os
import runpy
import shutil
import signal
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import hypothesis
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from allaprima.cli import register_styles
from allaprima.commands.infer import paint_files
from allaprima.commands.optimize import optimize_file
from allaprima.data.photos import validation_squares
from allaprima.losses import vgg_weights
from allaprima.losses.vgg import VGG
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos

TOP = Path(__file__).parents[1]
COFFEE, CAT = packaged_photos(["skimage/data/coffee.png", "skimage/data/chelsea.png"])
# What is started in the background ignores Ctrl-C, and so would the commands that tests send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A machine that is busy is slow, which is no failure; a file that all examples share is meant.
for profile, examples in (("suite", 60), ("long", 2000), ("longest", 100_000)):
    hypothesis.settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each of the processes
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
# Settings of training that take seconds.
SMALL = (
    "network.width=8",
    "network.blocks=1",
    "data.size=64",
    "data.batch_size=2",
    "data.validation_size=64",
    "trainer.val_every=4",
    "optimizer.warmup_steps=2",
)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
TIMES = (0, 40, 80, 200, 240, 280, 320, 333, 400, 440)  # milliseconds, unevenly apart


def compose_config(name, *overrides):
    """What a command gets from `configs/` and from a command line's overrides."""
    register_styles()
    with initialize_config_dir(str(TOP / "configs"), version_base="1.3"):
        return compose(name, overrides)


train_config = functools.partial(compose_config, "train")


def paint(*overrides):
    """Paint files with the command's settings."""
    return paint_files(compose_config("infer", *overrides))


def make_clip(path, width=50, height=34, rotation=0, sound=True, times=TIMES, codec="libx264"):
    """A clip with a bright square that wanders over a ramp, and a tone."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, options={"crf": "10"} if codec == "libx264" else {})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        tone = output.add_stream("aac", rate=16000) if sound else None
        for number, milliseconds in enumerate(times):
            pixels = np.tile(np.linspace(40, 160, width, dtype=np.uint8)[None, :, None], (height, 1, 3))
            pixels[4:12, 2 + number : 10 + number] = (230, 60, 20)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = milliseconds
            frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if tone:
            wave = (8000 * np.sin(np.arange(8000) / 6)).astype(np.int16)[None]
            samples = av.AudioFrame.from_ndarray(wave, "s16", "mono")
            samples.sample_rate = 16000
            samples.pts = 0
            output.mux(tone.encode(samples))
            output.mux(tone.encode(None))
    return path


@pytest.fixture(scope="session")
def caffe():
    return vgg_weights.load("caffe")


@pytest.fixture(scope="session")
def vgg(caffe):
    return VGG(caffe, STYLE_LAYERS)


@pytest.fixture(scope="session")
def held_out():
    """Photographs that no bundled network was trained on, (4, 3, 256, 256)."""
    return validation_squares(packaged_photos(STARTER_VALIDATION), 256)


@pytest.fixture
def photo_path(tmp_path):
    """A small photograph, 90 x 60 pixels."""
    path = tmp_path / "photo.png"
    Image.open(COFFEE).resize((90, 60)).save(path)
    return path


@pytest.fixture
def optimize_photo(tmp_path, photo_path):
    """Optimize the small photograph, with settings that take seconds."""

    def call(*overrides):
        small = ("scales=[48]", "iterations=12", f"content={photo_path}", f"output={tmp_path / 'out'}")
        return optimize_file(compose_config("optimize", *small, *overrides))

    return call


class CommandResult(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_script(tmp_path, monkeypatch, capfd):
    """Run one of the project's scripts as a user would, in an empty folder.

    It runs in this process, which has taken its seconds to import PyTorch already.
    """

    def call(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capfd.readouterr()
        try:
            runpy.run_path(str(TOP / "scripts" / script), run_name="__main__")
            returncode = 0
        except SystemExit as end:
            returncode = end.code
        return CommandResult(returncode, *capfd.readouterr())

    return call


@pytest.fixture
def refused(run_script):
    """Check that a command ends as a user's mistake should: one line, exit status 2, no traceback."""

    def check(arguments, *words):
        result = run_script(*arguments)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        for word in words:
            assert str(word) in line

    return check


def wait_for(find, seconds=30):
    """What a function finds, as soon as it finds something; the test fails where that takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def serve_folder(folder):
    """The address of a server of a folder's files."""

    class QuietHandler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@contextlib.contextmanager
def chromium(*arguments):
    """A browser without a window, with a camera that shows a clock; skips the test where there is none."""
    if not shutil.which("chromedriver"):
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    headless = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "force-color-profile=srgb")
    for argument in (*headless, "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream", *arguments):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser():
    with chromium() as driver:
        yield driver
