"""Which files a command means: networks, pictures to paint, places for the results."""

import glob
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from allaprima.commands.groups import StyleSettings
from allaprima.data.photos import STARTER_VALIDATION, find_photos, packaged_photos
from allaprima.errors import UserError
from allaprima.media.images import WRITE_OPTIONS
from allaprima.media.recording import RECORDED_SUFFIXES
from allaprima.media.video import VIDEO_SUFFIXES
from allaprima.networks.files import network_path

STANDARD = Path("-")  # input or output
CAMERA = re.compile(r"camera:(\d{1,3})")  # input
ALL = "all"  # style=all, every bundled painting


class NamesNetwork(Protocol):
    """Settings of a command that uses a trained network."""

    style: StyleSettings
    model: str | None


def chosen_network(settings: NamesNetwork, style: str | None = None, fast: bool = False) -> Path:
    """The file of the network that a command's `model`, or else its `style`, names.

    Args:
        settings: of the command.
        style: in place of theirs.
        fast: of a bundled painting the network made for speed.

    Raises:
        UserError: there is no such file, or a painting is given in the place of a network.
    """
    if fast and settings.model:
        raise UserError("fast=true chooses among the bundled networks: leave out model=, or fast=")
    if settings.style.image and not settings.model:
        raise UserError("style.image needs training first: train.py style.image=PICTURE, then model= what it wrote")
    return network_path(settings.model or f"{style or settings.style.name}{'_realtime' if fast else ''}")


def find_inputs(given: Sequence[str] | None, output: Path) -> list[tuple[Path, Path]]:
    """The files meant by paths, folders and patterns, each with its place below what was named.

    What stands in the folder `output` is no input when a folder around it is named, or a pattern that begins there.

    Raises:
        UserError: nothing is there.
    """
    if given is None:
        photo = packaged_photos(STARTER_VALIDATION)[0]
        return [(photo, Path(photo.name))]
    found: dict[Path, Path] = {}
    for name in given:
        if not name:
            raise UserError("input= is empty: name a file, a folder or a pattern")
        path = Path(name)
        if path == STANDARD:
            folder, photos = STANDARD, [STANDARD]
        elif path.is_dir():
            folder, photos = path, find_photos(path)
        elif path.exists():
            folder, photos = path.parent, [path]
        else:
            folder = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts))
            # Path.glob refuses absolute patterns.
            photos = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if path.is_file()]  # noqa: PTH207
            if not photos:
                raise UserError(f"input={name}: there is no such file or folder, and nothing matches it as a pattern")
        if folder.resolve() in output.resolve().parents and path not in photos:
            photos = [photo for photo in photos if output.resolve() not in photo.resolve().parents]
        found |= {photo: Path("stdin") if photo == STANDARD else photo.relative_to(folder) for photo in photos}
    if not found:
        raise UserError(f"input={given}: nothing is left to paint; name a file, a folder or a pattern")
    return list(found.items())


def camera_number(given: Sequence[str] | None) -> int | None:
    """Number of the camera that is meant as input, or None if it is no camera.

    Raises:
        UserError: a camera among other inputs.
    """
    cameras = [found for name in given or () if (found := CAMERA.fullmatch(name))]
    if not cameras:
        return None
    if len(given) > 1:
        raise UserError(f"input={given[0]} is one of {len(given)} inputs: name a camera alone")
    return int(cameras[0][1])


def recorded_file(output: str) -> Path | None:
    """The video file that a camera is recorded to; None for a folder, which then gets nothing.

    Raises:
        UserError: a file of another kind.
    """
    suffix = Path(output).suffix.lower()
    if suffix and suffix not in RECORDED_SUFFIXES:
        raise UserError(f"output={output}: a camera is recorded to one file, {', '.join(RECORDED_SUFFIXES)}")
    return Path(output) if suffix else None


def place_outputs(inputs: Sequence[tuple[Path, Path]], output: str, style: str, suffix: str | None) -> list[Path]:
    """Where each result goes: to the file `output` if it is named like a picture, else to the folder `output`.

    A name with another suffix would be a file for one input, and is refused there.

    Raises:
        UserError: several results for one file, a result in the place of an input, or an unknown suffix.
    """
    written = (*WRITE_OPTIONS, *RECORDED_SUFFIXES)
    if suffix is not None and suffix not in WRITE_OPTIONS:
        raise UserError(f"suffix={suffix}: take one of {', '.join(WRITE_OPTIONS)}")
    target = Path(output)
    if target == STANDARD:
        if len(inputs) > 1 or is_video(inputs[0][0]):
            raise UserError("output=- takes one picture: name a folder for more, or a file for a video")
        return [target]
    if (target.suffix.lower() in written or (target.suffix and len(inputs) == 1)) and not target.is_dir():
        if len(inputs) > 1:
            raise UserError(f"output={output} is one file, but there are {len(inputs)} inputs: name a folder")
        places = [target]
    else:
        places = [
            target / below.with_name(f"{below.stem}_{style}{writable_suffix(below, suffix)}") for _, below in inputs
        ]
    for place, (source, _) in zip(places, inputs, strict=True):
        kind, suffixes = ("videos", RECORDED_SUFFIXES) if is_video(source) else ("pictures", WRITE_OPTIONS)
        if place.suffix.lower() not in suffixes:
            raise UserError(f"output={place}: {kind} are written as {', '.join(suffixes)}")
    check_places(places, inputs)
    return places


def place_sheets(inputs: Sequence[tuple[Path, Path]], outputs: Sequence[Path]) -> dict[str, Path]:
    """Where the sheet of each picture goes, by its input: beside its results.

    Raises:
        UserError: several sheets for one file, or a sheet in the place of an input.
    """
    pairs = zip(inputs, outputs, strict=True)
    sheets = {
        str(source): output.with_name(f"{source.stem}_all.jpg") for (source, _), output in pairs if not is_video(source)
    }
    check_places(list(sheets.values()), inputs)
    return sheets


def check_places(places: Sequence[Path], inputs: Sequence[tuple[Path, Path]]) -> None:
    """Raises UserError for two results in one place, or one in the place of an input."""
    originals = {photo.resolve() for photo, _ in inputs}
    taken: set[Path] = set()
    for place in places:
        if place.resolve() in originals:
            raise UserError(f"output={place} is one of the inputs and would be overwritten: choose another place")
        if place in taken:
            raise UserError(f"two inputs would both become {place}: paint them into different folders")
        taken.add(place)


def writable_suffix(source: Path, wanted: str | None) -> str:
    """The suffix of a result: for pictures `wanted`, else the input's own where results can have it, .png or .mp4."""
    if is_video(source):
        return source.suffix if source.suffix.lower() in RECORDED_SUFFIXES else ".mp4"
    return wanted or (source.suffix if source.suffix.lower() in WRITE_OPTIONS else ".png")


def is_video(path: Path) -> bool:
    """Whether a file is called as videos are."""
    return path.suffix.lower() in VIDEO_SUFFIXES
