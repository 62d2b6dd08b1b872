"""A camera painted live: in a window, in a file, or in both."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stylizer import Stylizer
from allaprima.media.camera import TIME_BASE, Camera
from allaprima.media.recording import Recording
from allaprima.media.video import Frame
from allaprima.media.window import Window, has_display


def paint_camera(
    stylizer: Stylizer, number: int, output: Path | None, smooth: float, options: Mapping[str, Any]
) -> int:
    """Paint a camera's pictures until the window is closed, the camera is unplugged, or Ctrl-C.

    Args:
        stylizer: what paints.
        number: of the camera, from 0.
        output: a video file to record to, one of `RECORDED_SUFFIXES`; None: none, and there must be a screen.
        smooth: how much of every frame is the one before, see `Smoothing`.
        options: of the stylizer's call.

    Returns:
        How many frames were painted.

    Raises:
        UserError: there is no screen, and nothing to record to.
        FileError: there is no such camera, it sends nothing, or the file cannot be written.
    """
    with contextlib.ExitStack() as opened:
        window = None
        if output is None or has_display():
            window = Window(stylizer.metadata.style.title)
            opened.callback(window.close)
        camera = Camera(number)
        opened.callback(camera.close)
        recording = Recording(output, camera.rate, TIME_BASE) if output else None
        try:
            painted = show(stylizer, camera, window, recording, Smoothing(smooth), options)
            if not painted:
                raise FileError(f"camera {number} sends no pictures")
        except BaseException:
            if recording:
                recording.discard()
            raise
        if recording:
            recording.finish()
        return painted


def show(
    stylizer: Stylizer,
    camera: Camera,
    window: Window | None,
    recording: Recording | None,
    smoothing: Smoothing,
    options: Mapping[str, Any],
) -> int:
    """Paint frame after frame; how many, when the window is closed, the camera is unplugged, or at Ctrl-C."""
    last, rate = time.monotonic(), 0.0
    with tqdm(unit="frame") as progress, contextlib.suppress(KeyboardInterrupt):
        for frame in camera.frames():
            painted = smoothing(frame.pixels, stylizer(frame.pixels, **options))
            if recording:
                recording.write(Frame(painted, frame.time))
            now = time.monotonic()
            rate, last = 0.9 * rate + 0.1 / (now - last), now
            progress.update()
            if window and not window.show(painted, f"{rate:.0f} frames a second, q to leave"):
                break
    return progress.n
