"""The files that are meant by paths, folders and patterns."""

import glob
import itertools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from allaprima.errors import UserError
from allaprima.media.animation import NUMBER, sequence_files
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos
from allaprima.media.images import HEIC_ADVICE, HEIC_SUFFIXES, READ_SUFFIXES

STANDARD = Path("-")  # input or output
# Thumbnails and deleted files that network drives and Windows keep among the pictures.
SYSTEM_FOLDERS = frozenset({"@eaDir", "#recycle", "$RECYCLE.BIN"})
MOST_KINDS = 8  # of other files that are named


def find_photos(root: Path) -> list[Path]:
    """All picture files below a folder, sorted by path; how many others there are is said on stderr.

    Hidden files and folders and those of the system, as `._photo.jpg` and `@eaDir`, do not count. Raises UserError if
    there are no pictures, or a folder may not be read.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name a folder of photographs")

    def refuse(error: OSError) -> NoReturn:
        raise UserError(f"no permission to read the folder {error.filename}") from error

    # Not rglob, which passes over what it may not read: half of the photographs would be missed in silence.
    files = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS]
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    photos = sorted(path for path in files if path.suffix.lower() in READ_SUFFIXES and path.is_file())
    others = set(files).difference(photos)
    heic = HEIC_ADVICE if any(path.suffix.lower() in HEIC_SUFFIXES for path in others) else ""
    if not photos:
        kinds = ", ".join(sorted(READ_SUFFIXES))
        raise UserError(f"{root} holds no pictures ({kinds}): name a folder that does{heic and f', or {heic}'}")
    if others:
        kinds = ", ".join(sorted({kind_of(path) for path in others})[:MOST_KINDS])
        count = f"{len(others)} file{'s' * (len(others) > 1)} of other kinds"
        print(f"{root}: {count} left alone ({kinds}){heic and f'; {heic}'}", file=sys.stderr)
    return photos


def kind_of(path: Path) -> str:
    """What a file that is no picture is called."""
    return path.suffix.lower() or path.name if path.exists() else "links that lead nowhere"


def held_out_photos(folder: str | None = None, output: Path | None = None) -> list[Path]:
    """Photographs to judge networks on: those below a folder and outside `output`, or the packaged held-out ones."""
    if folder is None:
        return packaged_photos(STARTER_VALIDATION)
    photos = find_photos(Path(folder))
    return outside(photos, Path(folder), output) if output else photos


def outside(photos: Sequence[Path], folder: Path, output: Path) -> list[Path]:
    """The photographs of a folder without the earlier results in a folder `output` below it."""
    if folder.resolve() not in output.resolve().parents:
        return list(photos)
    return [photo for photo in photos if output.resolve() not in photo.resolve().parents]


def find_inputs(names: Sequence[str] | None, output: Path) -> list[tuple[Path, Path]]:
    """The files meant by paths, folders and patterns, each with its place below what was named; None: a packaged one.

    What stands in the folder `output` is no input when a folder around it is named, or a pattern that begins there.
    Raises UserError if nothing is there.
    """
    if names is None:
        photo = packaged_photos(STARTER_VALIDATION)[0]
        return [(photo, Path(photo.name))]
    found: dict[Path, Path] = {}
    for name in names:
        if not name:
            raise UserError("input= is empty: name a file, a folder or a pattern")
        path = Path(name)
        if path == STANDARD:
            found[STANDARD] = Path("stdin")
        elif path.is_dir():
            found |= {photo: photo.relative_to(path) for photo in outside(find_photos(path), path, output)}
        elif path.exists():
            found[path] = Path(path.name)
        elif sequence_files(path):
            found[path] = Path(NUMBER.sub("", path.stem).strip(" ._-") or "video")
        else:
            folder = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts))
            # Path.glob refuses absolute patterns.
            photos = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if path.is_file()]  # noqa: PTH207
            if not photos:
                raise UserError(f"input={name}: there is no such file or folder, and nothing matches it as a pattern")
            photos = [photo for photo in photos if not SYSTEM_FOLDERS & set(photo.relative_to(folder).parts)]
            found |= {photo: photo.relative_to(folder) for photo in outside(photos, folder, output)}
    if not found:
        raise UserError(f"input={names}: nothing is left to paint; name a file, a folder or a pattern")
    return list(found.items())
