"""A video painted frame by frame."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.inference.places import Places
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stream import prefetch, write_behind
from allaprima.inference.stylizer import Stylizer
from allaprima.media.frame import Frame
from allaprima.media.recording import Recording
from allaprima.media.video import open_video


def paint_clip(
    stylizer: Stylizer, clip: Path, output: Path, smooth: float, places: Places, **options: Any
) -> tuple[int, str]:
    """Paint every frame of a video, with a progress bar; how many pixels in all frames, and by which engine.

    Interrupted, or where the file is damaged, it leaves the frames painted so far, as a video that can be played.
    `smooth` is for `Smoothing`, the other options and those of `places` are for the stylizer's `paint`. What the kind
    of file of `output` has no room for is said in a line.
    """
    smoothing = Smoothing(smooth)
    pixels = 0
    engine = ""

    def paint(frame: Frame) -> Frame:
        nonlocal engine, pixels
        painted, engine = stylizer.paint(frame.pixels, **options, **places(frame.pixels))
        pixels += painted.shape[0] * painted.shape[1]
        return frame._replace(pixels=smoothing(frame.pixels, painted))

    with contextlib.ExitStack() as opened:
        video = opened.enter_context(contextlib.closing(open_video(clip)))
        recording = opened.enter_context(Recording.of(video, output))
        frames = opened.enter_context(contextlib.closing(prefetch(video.frames())))  # waits for the thread that reads
        progress = opened.enter_context(tqdm(total=video.count, unit="frame"))
        steps = opened.enter_context(contextlib.closing(write_behind(recording.write, map(paint, frames))))
        try:
            for _ in steps:
                progress.update()
            if not recording.count:
                raise FileError(f"{clip} has no frames")
            recording.finish()
        except KeyboardInterrupt as interrupt:
            if keep_painted(recording, steps):
                raise KeyboardInterrupt(f"{output} has what was painted so far") from interrupt
            raise
        except FileError as error:
            if keep_painted(recording, steps):
                raise FileError(f"{error}; {output} has the {recording.count} frames that can be read") from error
            raise
    if recording.left:
        kept = "" if output.suffix.lower() == ".mkv" else ": give output=NAME.mkv to keep it"
        tqdm.write(f"{output.name} has no room for {', '.join(recording.left)}{kept}", file=sys.stderr)
    return pixels, engine


def keep_painted(recording: Recording, steps: Any) -> bool:
    """Finish the recording of a video that ended early, if anything was painted and can be written; whether it was."""
    steps.close()  # which waits for the thread that writes
    if recording.failure or not recording.count:
        return False
    recording.finish()
    return True
