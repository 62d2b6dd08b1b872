import pytest

from allaprima.errors import UserError
from allaprima.media import inputs
from allaprima.media.inputs import find_inputs, find_photos
from allaprima.media.outputs import place_outputs

KEPT = ("a.JPG", "b.avif", "c.jfif", "deep/d.mpo", "deep/e.jpe", "f.png")
HIDDEN = ("._a.JPG", ".thumbnails/a.png", "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "deep/#recycle/old.png", ".hidden.png")
OTHERS = ("notes.txt", "deep/clip.mp4", "README")


@pytest.fixture
def album(tmp_path):
    """A folder as file managers, network drives and Macs leave it."""
    root = tmp_path / "album"
    for name in (*KEPT, *HIDDEN, *OTHERS):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_pictures_of_a_folder(album, capsys):
    assert [str(path.relative_to(album)) for path in find_photos(album)] == list(KEPT)
    told = capsys.readouterr()
    assert told.out == "" and told.err == f"{album}: 3 files of other kinds left alone (.mp4, .txt, README)\n"
    for name in OTHERS:
        (album / name).unlink()
    find_photos(album)
    assert capsys.readouterr().err == ""


def test_a_hidden_folder_may_be_named(album):
    (album / ".thumbnails/deep").mkdir()
    assert [path.name for path in find_photos(album / ".thumbnails")] == ["a.png"]


def test_patterns_pass_over_thumbnails(album, tmp_path):
    (album / "g.jpg").touch()
    assert [str(below) for _, below in find_inputs([f"{album}/**/*.jpg"], tmp_path / "out")] == ["g.jpg"]


def test_heic_in_folders(album, monkeypatch, capsys):
    """Without the package they are files of another kind, and it is said how they can be read."""
    without = {suffix: kind for suffix, kind in inputs.READ_SUFFIXES.items() if kind != "HEIF"}
    monkeypatch.setattr(inputs, "READ_SUFFIXES", without)
    (album / "photo.HEIC").touch()
    find_photos(album)
    assert "4 files of other kinds left alone (.heic, " in (told := capsys.readouterr().err)
    assert "; pip install 'allaprima[heic]'" in told
    (album / "alone").mkdir()
    (album / "photo.HEIC").rename(album / "alone/photo.HEIC")
    with pytest.raises(UserError, match=r"or pip install 'allaprima\[heic\]'"):
        find_photos(album / "alone")


def test_results_of_other_kinds(album, tmp_path):
    places = place_outputs(find_inputs([str(album)], tmp_path), str(tmp_path / "out"), "udnie", None)
    assert [place.name for place in places] == [
        "a_udnie.JPG",
        "b_udnie.png",
        "c_udnie.jpg",
        "d_udnie.jpg",
        "e_udnie.jpg",
        "f_udnie.png",
    ]
