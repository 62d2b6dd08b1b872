import os

import pytest
import torch

from allaprima.errors import FileError
from allaprima.media.files import TEMPORARY, check_writable
from allaprima.media.images import Picture, write_picture

from .conftest import gradient


def test_old_temporary_files_are_removed(tmp_path):
    old, new, other = (tmp_path / name for name in (f"{TEMPORARY}old", f"{TEMPORARY}new", ".hidden"))
    for path in (old, new, other):
        path.touch()
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    write_picture(tmp_path / "a.png", Picture(gradient(), None))
    assert sorted(tmp_path.iterdir()) == sorted([new, other, tmp_path / "a.png"])


def test_failed_write_keeps_the_file(tmp_path, monkeypatch):
    path = tmp_path / "kept.png"
    write_picture(path, Picture(gradient(), None))
    before = path.read_bytes()
    with pytest.raises(FileError, match="choose one of these suffixes"):
        write_picture(tmp_path / "kept.xyz", Picture(gradient(), None))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(FileError, match="No space left"):
        write_picture(path, Picture(torch.zeros(3, 20, 30), None))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.png"]


def test_writable_places(tmp_path):
    check_writable(tmp_path / "deep/folder/picture.png")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for path, words in (
        (tmp_path / "file/picture.png", r"cannot write in .*file: Not a directory"),
        (tmp_path / "file/deep/picture.png", r"cannot write in .*deep: Not a directory"),
        (tmp_path / "folder.png", r"folder\.png: there is a folder of that name"),
        (tmp_path / f"{'a' * 256}.png", r"aaa\.png: File name too long"),
    ):
        with pytest.raises(FileError, match=words):
            check_writable(path)


def test_file_system_without_permissions(tmp_path, monkeypatch):
    """As a Windows disk that Linux has mounted."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    write_picture(tmp_path / "a.png", Picture(gradient(), None))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
