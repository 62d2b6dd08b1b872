import contextlib
import re
import tempfile

import pytest
import torch

from allaprima.data.module import LONGEST_FOLDER, DataSettings, PhotoDataModule
from allaprima.errors import UserError
from allaprima.media.bundled import STARTER_TRAINING, STARTER_VALIDATION, packaged_photos

from .conftest import DATA_SETTINGS

LEAVES_SETTINGS = {"leaves_share": 1.0, "size": 64, "validation_size": 64, "validation_photos": 1, "batch_size": 1}


def test_validation_photographs_are_held_out(held_out):
    assert not set(STARTER_TRAINING) & set(STARTER_VALIDATION)
    assert all(path.is_file() for path in packaged_photos([*STARTER_TRAINING, *STARTER_VALIDATION]))
    data = PhotoDataModule(DataSettings(source="starter", **DATA_SETTINGS), 0)
    assert data.validation.shape == (4, 3, 64, 64)
    assert held_out.shape == (4, 3, 256, 256)
    leaves = PhotoDataModule(DataSettings(source="leaves", **DATA_SETTINGS | {"leaves_share": 1.0}), 0)
    assert torch.equal(leaves.validation, data.validation)


@pytest.mark.parametrize(
    ("source", "root", "words"),
    [
        ("folder", None, "data.root=PATH"),
        ("folder", "nowhere", "not a folder"),
        ("folder", "empty", "no pictures"),
        ("folder", "unreadable", "can be read"),
        ("coco", "empty", "download it first"),
        ("imagenet", "empty", "take one of starter"),
        ("starter", "empty", "data=folder"),
        ("leaves", None, "leaves_share=1"),
    ],
)
def test_invalid_folders_are_refused(tmp_path, source, root, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "text.png").write_text("not a picture")
    with pytest.raises(UserError, match=re.escape(words)):
        PhotoDataModule(DataSettings(source=source, root=root and str(tmp_path / root), **DATA_SETTINGS), 0)


def test_long_temporary_folder_is_refused(tmp_path, monkeypatch):
    """Its path is too long for a socket: they would wait for each other for ten minutes, and then for ever."""
    longest = str(tmp_path)[:4].ljust(LONGEST_FOLDER, "x")
    for folder, workers, is_refused in ((longest + "x", 1, True), (longest + "x", 0, False), (longest, 1, False)):
        monkeypatch.setattr(tempfile, "tempdir", folder)
        with pytest.raises(UserError, match="TMPDIR") if is_refused else contextlib.nullcontext():
            PhotoDataModule(DataSettings(source="leaves", workers=workers, **LEAVES_SETTINGS), 0)
