"""Where a run's photographs come from: a table of names, as `data.source` chooses."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from allaprima.data import coco
from allaprima.errors import UserError
from allaprima.media.bundled import STARTER_TRAINING, packaged_photos
from allaprima.media.inputs import find_photos, held_out_photos


class Source(NamedTuple):
    """Photographs to train on and to validate on, by the folder `data.root` or, for None, without one."""

    photos: Callable[[Path | None], tuple[list[Path], list[Path]]]
    has_folder: bool


SOURCES = {
    "starter": Source(lambda _: (packaged_photos(STARTER_TRAINING), held_out_photos()), has_folder=False),
    "leaves": Source(lambda _: ([], held_out_photos()), has_folder=False),  # every picture is drawn
    "folder": Source(lambda root: (find_photos(root), held_out_photos()), has_folder=True),
    "coco": Source(coco.photos, has_folder=True),
}


def find_source(name: str, root: str | None) -> tuple[list[Path], list[Path]]:
    """The photographs of a source to train on and to validate on. Raises UserError for a wrong or missing folder."""
    if name not in SOURCES:
        raise UserError(f"data.source={name}: take one of {', '.join(SOURCES)}")
    if SOURCES[name].has_folder and root is None:
        raise UserError(f"data={name} needs a folder: add data.root=PATH")
    if root is not None and not SOURCES[name].has_folder:
        raise UserError(f"data={name} takes no folder: use data.root with data=folder or data=coco")
    return SOURCES[name].photos(root and Path(root))
