"""What is painted where in an input, picture by picture or frame by frame: from pictures, folders, videos and faces."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from allaprima.errors import FileError
from allaprima.inference.face_maps import FaceMaps
from allaprima.media.inputs import find_photos
from allaprima.media.video import is_video, open_video


class Places:
    """The maps of an input, for every frame in turn; see `Stylizer.paint`.

    Args:
        source: the input, whose name tells which file of a folder belongs to it.
        maps: by the name of an option, its picture, video or folder, or a number, or None, which leaves it out.
        faces: as for `paint`; in frames that follow one another they are found steadily.

    Raises:
        FileError: there is no such picture or video, or none in the folder for this input.
    """

    def __init__(self, source: Path, maps: dict[str, float | str | None], faces: str | None = None) -> None:
        self.faces = faces
        self.face_maps = FaceMaps()
        self.options: dict[str, Any] = {}
        self.frames: dict[str, Iterator[np.ndarray]] = {}
        for option, value in maps.items():
            if isinstance(value, str):
                path = file_for(source, Path(value), option)
                if is_video(path):
                    self.frames[option] = of_video(path)
                else:
                    self.options[option] = path
            elif value is not None:
                self.options[option] = value

    def __call__(self, frame: np.ndarray | None = None) -> dict[str, Any]:
        """The options for a picture, or for the next frame, (H, W, 3) bytes.

        After the last frame of a map's video that one is kept.
        """
        self.options |= {option: next(frames, self.options.get(option)) for option, frames in self.frames.items()}
        if self.faces is None:
            return self.options
        if frame is None:
            return self.options | {"faces": self.faces}
        return self.options | {"faces": self.face_maps(frame)}


def of_video(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video in grey, (H, W) bytes."""
    video = open_video(path)
    try:
        for frame in video.frames():
            yield frame.pixels.mean(-1).astype(np.uint8)
    finally:
        video.close()


def file_for(source: Path, path: Path, option: str) -> Path:
    """The file that is meant for an input: itself, or of a folder the one with the input's name."""
    if not path.is_dir():
        return path
    found = [file for file in find_photos(path) if file.stem == source.stem]
    found += [file for file in sorted(path.iterdir()) if file.stem == source.stem and is_video(file)]
    if not found:
        raise FileError(f"{option}={path} has no file called {source.stem}, as {source.name} is")
    return found[0]
