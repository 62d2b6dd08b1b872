"""A video file painted frame by frame."""

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stream import prefetch, write_behind
from allaprima.inference.stylizer import Stylizer
from allaprima.media.recording import Recording
from allaprima.media.video import Frame, Video


def paint_clip(stylizer: Stylizer, clip: Path, output: Path, smooth: float, **options: Any) -> tuple[int, str]:
    """Paint every frame of a video file, with a progress bar; how many pixels in all frames, and by which engine.

    Interrupted, it leaves the frames painted so far, as a video that can be played. `smooth` is for `Smoothing`, the
    other options are for the stylizer's `paint`.
    """
    video = Video(clip)
    sound = clip if video.container.streams.audio else None
    pixel_aspect = video.stream.sample_aspect_ratio
    recording = Recording(output, video.rate, video.stream.time_base, video.rotation, sound, pixel_aspect)
    frames = prefetch(video.frames())
    smoothing = Smoothing(smooth)
    engine = ""

    def paint(frame: Frame) -> Frame:
        nonlocal engine
        painted, engine = stylizer.paint(frame.pixels, **options)
        return Frame(smoothing(frame.pixels, painted), frame.time)

    try:
        with tqdm(total=video.count, unit="frame") as progress:
            for _ in write_behind(recording.write, map(paint, frames)):
                progress.update()
            if not progress.n:
                raise FileError(f"{clip} has no frames")
        recording.finish()
        return progress.n * video.stream.width * video.stream.height, engine
    except KeyboardInterrupt:
        if progress.n:
            recording.finish()
            print(f"interrupted: {output} has what was painted so far", file=sys.stderr)
        else:
            recording.discard()
        raise
    except BaseException:
        recording.discard()
        raise
    finally:
        frames.close()  # which waits for the thread that reads
        video.close()
