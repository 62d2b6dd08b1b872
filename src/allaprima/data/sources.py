"""Where a run's photographs come from: a table of names, as `configs/data` chooses."""

from collections.abc import Callable
from pathlib import Path

from allaprima.data import coco
from allaprima.data.photos import STARTER_TRAINING, STARTER_VALIDATION, find_photos, packaged_photos
from allaprima.errors import UserError

Photos = tuple[list[Path], list[Path]]


def starter(root: str | None) -> Photos:
    """Photographs that come with installed packages."""
    refuse_folder("starter", root)
    return packaged_photos(STARTER_TRAINING), packaged_photos(STARTER_VALIDATION)


def leaves(root: str | None) -> Photos:
    """None to train on: every picture is drawn."""
    refuse_folder("leaves", root)
    return [], packaged_photos(STARTER_VALIDATION)


def folder(root: str | None) -> Photos:
    """All photographs below a folder."""
    return find_photos(needed("folder", root)), packaged_photos(STARTER_VALIDATION)


def coco_2017(root: str | None) -> Photos:
    """COCO 2017's, as it divides them."""
    return coco.photos(needed("coco", root))


def refuse_folder(source: str, root: str | None) -> None:
    """Raises UserError if a source that has its own photographs is given a folder."""
    if root is not None:
        raise UserError(f"data={source} takes no folder: use data.root with data=folder or data=coco")


def needed(source: str, root: str | None) -> Path:
    """The folder of a source that needs one. Raises UserError if none is given."""
    if root is None:
        raise UserError(f"data={source} needs a folder: add data.root=PATH")
    return Path(str(root))


# Where photographs come from: to train on, and to validate on, by `data.source` and the folder `data.root`.
SOURCES: dict[str, Callable[[str | None], Photos]] = {
    "starter": starter,
    "leaves": leaves,
    "folder": folder,
    "coco": coco_2017,
}
