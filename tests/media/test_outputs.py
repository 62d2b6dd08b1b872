from pathlib import Path

import pytest

from allaprima.errors import UserError
from allaprima.media.outputs import place_outputs


def placed(*names, output="out", suffix=None):
    return [path.name for path in place_outputs([(Path(name), Path(name)) for name in names], output, "udnie", suffix)]


def test_names():
    assert placed("a.jpg", "b.tif", "c.mp4") == ["a_udnie.jpg", "b_udnie.png", "c_udnie.mp4"]
    assert placed("a.jpg", suffix=".png") == ["a_udnie.png"]


def test_long_names_are_cut():
    (name,) = placed(f"{'é' * 125}x.jpg")  # 255 bytes
    assert len(name.encode()) <= 255 and name.startswith("é" * 120) and name.endswith("_udnie.jpg")


def test_two_kinds_of_one_name():
    assert placed("a.png", "a.avif", "a.jpg", "b.avif") == [
        "a.png_udnie.png",
        "a.avif_udnie.png",
        "a_udnie.jpg",
        "b_udnie.png",
    ]
    with pytest.raises(UserError, match="would both become"):
        place_outputs([(Path(f"{folder}/a.png"), Path("a.png")) for folder in "xy"], "out", "udnie", None)


def test_suffix_of_a_file():
    assert placed("a.jpg", output="b.png", suffix=".png") == ["b.png"]
    with pytest.raises(UserError, match=r"output=b.jpg has a suffix of its own"):
        placed("a.jpg", output="b.jpg", suffix=".png")
