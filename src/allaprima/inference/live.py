"""A camera painted live: in a window, in a file, or in both."""

import contextlib
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.inference.places import Places
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stylizer import Stylizer
from allaprima.media.camera import TIME_BASE, Camera
from allaprima.media.frame import Frame
from allaprima.media.recording import Recording
from allaprima.media.window import Window, has_display


def paint_camera(
    stylizer: Stylizer, number: int, output: Path | None, smooth: float, places: Places, **options: Any
) -> int:
    """Paint a camera until the window is closed, the camera is unplugged, or Ctrl-C; how many frames were painted.

    It is recorded to `output`, a video file, where that is given; without, there must be a screen. Other arguments are
    those of `paint_clip`.
    """
    with contextlib.ExitStack() as opened:
        window = recording = None
        if output is None or has_display():
            window = Window(stylizer.painting.title)
            opened.callback(window.close)
        camera = Camera(number)
        opened.callback(camera.close)
        if output:
            recording = opened.enter_context(Recording(output, camera.rate, TIME_BASE))
        progress = opened.enter_context(tqdm(unit="frame"))
        smoothing = Smoothing(smooth)
        last = time.monotonic()
        rate = 0.0
        with contextlib.suppress(KeyboardInterrupt):
            for frame in camera.frames():
                painted = smoothing(frame.pixels, stylizer(frame.pixels, **options, **places(frame.pixels)))
                if recording:
                    recording.write(Frame(painted, frame.time))
                now = time.monotonic()
                rate = 0.9 * rate + 0.1 / (now - last)
                last = now
                progress.update()
                if window and not window.show(painted, f"{rate:.0f} frames a second, q to leave"):
                    break
        if not progress.n:
            raise FileError(f"camera {number} sends no pictures")
        if recording:
            recording.finish()
        return progress.n
