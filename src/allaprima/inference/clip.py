"""A video file painted frame by frame."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.inference.smoothing import Smoothing
from allaprima.inference.stream import prefetch, write_behind
from allaprima.inference.stylizer import Stylizer
from allaprima.media.recording import Recording
from allaprima.media.video import Frame, Video


def paint_clip(stylizer: Stylizer, clip: Path, output: Path, smooth: float, options: Mapping[str, Any]) -> int:
    """Paint every frame of a video file, with a progress bar.

    Interrupted, it leaves the frames painted so far, as a video that can be played.

    Args:
        stylizer: what paints.
        clip: the file.
        output: where to, one of `RECORDED_SUFFIXES`.
        smooth: how much of every frame is the one before, see `Smoothing`.
        options: of the stylizer's call.

    Returns:
        How many pixels were painted, in all frames.

    Raises:
        FileError: it cannot be read or written.
    """
    video = Video(clip)
    sound = clip if video.container.streams.audio else None
    pixel_aspect = video.stream.sample_aspect_ratio
    recording = Recording(output, video.rate, video.stream.time_base, video.rotation, sound, pixel_aspect)
    frames = prefetch(video.frames())
    smoothing = Smoothing(smooth)
    painted = (Frame(smoothing(frame.pixels, stylizer(frame.pixels, **options)), frame.time) for frame in frames)
    try:
        with tqdm(total=video.count, unit="frame") as progress:
            for _ in write_behind(recording.write, painted):
                progress.update()
            if not progress.n:
                raise FileError(f"{clip} has no frames")
        recording.finish()
        return progress.n * video.stream.width * video.stream.height
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
