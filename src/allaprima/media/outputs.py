"""Where results are written: never over an input or another result."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from allaprima.errors import UserError
from allaprima.media.files import LONGEST_NAME
from allaprima.media.images import READ_SUFFIXES, WRITE_OPTIONS
from allaprima.media.inputs import STANDARD
from allaprima.media.recording import RECORDED_SUFFIXES
from allaprima.media.video import is_video


def place_outputs(inputs: Sequence[tuple[Path, Path]], output: str, style: str, suffix: str | None) -> list[Path]:
    """Where each result goes: to the file `output` if it is named like a picture, else to the folder `output`.

    A name with another suffix would be a file for one input, and is refused there; `style` and `suffix` are for names
    in a folder. Raises UserError for two results in one place, or in the place of an input, and an unknown suffix.
    """
    if suffix is not None and suffix not in WRITE_OPTIONS:
        raise UserError(f"suffix={suffix}: take one of {', '.join(WRITE_OPTIONS)}")
    target = Path(output)
    if target == STANDARD:
        if len(inputs) > 1 or is_video(inputs[0][0]):
            raise UserError("output=- takes one picture: name a folder for more, or a file for a video")
        return [target]
    if suffix and target.suffix.lower() in WRITE_OPTIONS and target.suffix.lower() != suffix and not target.is_dir():
        raise UserError(f"output={output} has a suffix of its own: leave out suffix=, or name a folder")
    is_file = target.suffix.lower() in (*WRITE_OPTIONS, *RECORDED_SUFFIXES) or (target.suffix and len(inputs) == 1)
    if is_file and not target.is_dir():
        if len(inputs) > 1:
            raise UserError(f"output={output} is one file, but there are {len(inputs)} inputs: name a folder")
        places = [target]
    else:
        places = places_below(target, inputs, style, suffix)
    for place, (source, _) in zip(places, inputs, strict=True):
        kind, suffixes = ("videos", RECORDED_SUFFIXES) if is_video(source) else ("pictures", WRITE_OPTIONS)
        if place.suffix.lower() not in suffixes:
            raise UserError(f"output={place}: {kind} are written as {', '.join(suffixes)}")
    check_places(places, inputs)
    return places


def places_below(folder: Path, inputs: Sequence[tuple[Path, Path]], style: str, suffix: str | None) -> list[Path]:
    """A place in a folder for each result, named after its input, where two would be alike with the input's suffix."""
    endings = [f"_{style}{result_suffix(source, suffix)}" for source, _ in inputs]
    named = list(zip((below for _, below in inputs), endings, strict=True))
    counts = Counter((below.parent, below.stem, ending) for below, ending in named)
    stems = [below.stem if counts[below.parent, below.stem, ending] == 1 else below.name for below, ending in named]
    return [
        folder / below.with_name(result_name(stem, ending)) for stem, (below, ending) in zip(stems, named, strict=True)
    ]


def result_name(stem: str, ending: str) -> str:
    """A file's name, its stem cut where the name would be longer than file systems take."""
    while len(os.fsencode(stem + ending)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def place_sheets(inputs: Sequence[tuple[Path, Path]], outputs: Sequence[Path]) -> dict[str, Path]:
    """Where the sheet of each picture goes, by its input: beside its results. Raises UserError as `check_places`."""
    pairs = zip(inputs, outputs, strict=True)
    sheets = {
        str(source): output.with_name(f"{source.stem}_all.jpg") for (source, _), output in pairs if not is_video(source)
    }
    check_places(list(sheets.values()), inputs)
    return sheets


def recorded_file(output: str) -> Path | None:
    """The video file that a camera is recorded to; None for a folder. Raises UserError for a file of another kind."""
    suffix = Path(output).suffix.lower()
    if suffix and suffix not in RECORDED_SUFFIXES:
        raise UserError(f"output={output}: a camera is recorded to one file, {', '.join(RECORDED_SUFFIXES)}")
    return Path(output) if suffix else None


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


def result_suffix(source: Path, wanted: str | None) -> str:
    """The suffix of a result: for pictures `wanted`, else its own or the nearest to it that results can have."""
    if is_video(source):
        own = source.suffix if source.is_file() else ""  # a numbered sequence is no file
        return own if own.lower() in RECORDED_SUFFIXES else ".mp4"
    if wanted or source.suffix.lower() in WRITE_OPTIONS:
        return wanted or source.suffix
    return ".jpg" if READ_SUFFIXES.get(source.suffix.lower()) == "JPEG" else ".png"
