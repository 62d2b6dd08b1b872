"""The files that are meant by paths, folders and patterns."""

import glob
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from allaprima.errors import UserError
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos
from allaprima.media.images import READ_SUFFIXES

STANDARD = Path("-")  # input or output


def find_photos(root: Path) -> list[Path]:
    """All picture files below a folder, sorted by path. Raises UserError if there are none, or it may not be read."""
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name a folder of photographs")

    def refuse(error: OSError) -> NoReturn:
        raise UserError(f"no permission to read the folder {error.filename}") from error

    # Not rglob, which passes over what it may not read: half of the photographs would be missed in silence.
    places = (Path(folder, name) for folder, _, names in os.walk(root, onerror=refuse) for name in names)
    photos = sorted(path for path in places if path.suffix.lower() in READ_SUFFIXES and path.is_file())
    if not photos:
        raise UserError(f"{root} holds no pictures ({', '.join(sorted(READ_SUFFIXES))}): name a folder that does")
    return photos


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
        else:
            folder = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts))
            # Path.glob refuses absolute patterns.
            photos = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if path.is_file()]  # noqa: PTH207
            if not photos:
                raise UserError(f"input={name}: there is no such file or folder, and nothing matches it as a pattern")
            found |= {photo: photo.relative_to(folder) for photo in outside(photos, folder, output)}
    if not found:
        raise UserError(f"input={names}: nothing is left to paint; name a file, a folder or a pattern")
    return list(found.items())
