import io
import struct

import pytest
from PIL import Image

from allaprima.media.images import open_upright, upright
from allaprima.media.orientation import exif_orientation

MAKE, ORIENTATION = 0x10F, 0x112
TEXT, SHORT, LONG, SIGNED_RATIONAL = 2, 3, 4, 10


def exif_block(*entries, order="<"):
    """EXIF data of tags, types, counts and values or places."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}IH", 8, len(entries))
    for tag, kind, count, value in entries:
        numbers = ("HH", value, 0) if kind == SHORT else ("I", value)
        directory += struct.pack(f"{order}HHI{numbers[0]}", tag, kind, count, *numbers[1:])
    return b"Exif\0\0" + mark + directory + bytes(4)


TURNED = (ORIENTATION, SHORT, 1, 6)


def jpeg(*blocks):
    """A picture of 40 x 20 pixels as a JPEG file with blocks of EXIF data."""
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 30, 60)).save(file, "JPEG")
    content = file.getvalue()
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block for block in blocks)
    return content[:2] + segments + content[2:]


@pytest.mark.parametrize(
    ("blocks", "is_turned"),
    [
        ([exif_block(TURNED)], True),
        ([exif_block(TURNED, order=">")], True),
        ([exif_block((ORIENTATION, LONG, 1, 6))], True),
        ([exif_block((ORIENTATION, LONG, 1, 6), order=">")], True),
        ([exif_block((MAKE, TEXT, 5000, 9999), TURNED)], True),  # a text that ends after the file
        ([exif_block((MAKE, 99, 1, 0), TURNED)], True),
        ([exif_block(TURNED, (0x9204, SIGNED_RATIONAL, 1, 9999))], True),
        ([exif_block(TURNED, (0x9204, SIGNED_RATIONAL, 1, 0))], True),  # a fraction of nothing
        ([exif_block(TURNED), exif_block(TURNED)], True),
        ([exif_block(TURNED), exif_block((ORIENTATION, SHORT, 1, 3))], True),
        ([exif_block(TURNED)[:-18]], False),
        ([exif_block((ORIENTATION, SHORT, 1, 60_000))], False),
        ([exif_block((ORIENTATION, TEXT, 2, 6))], False),
        ([b"Exif\0\0\xff\xd8garbage of some kind"], False),
        ([b"Exif\0\0"], False),
        ([b"Exif\0\0II*\0\xff\xff\xff\xff"], False),
        ([], False),
    ],
)
def test_turned_once(blocks, is_turned):
    image = open_upright(io.BytesIO(jpeg(*blocks)))
    assert image.size == ((20, 40) if is_turned else (40, 20))
    assert upright(image).size == image.size and upright(upright(image)).size == image.size


def test_orientation_is_read_alone():
    assert exif_orientation(exif_block((MAKE, TEXT, 5000, 9999), TURNED)) == 6
    assert exif_orientation(exif_block((MAKE, TEXT, 4, 0))) is None
    assert exif_orientation(b"") is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_other_formats_are_turned(kind):
    file = io.BytesIO()
    Image.new("RGB", (40, 20)).save(file, kind, exif=exif_block(TURNED))
    assert open_upright(file).size == (20, 40)


def test_the_picture_given_is_not_changed():
    image = Image.open(io.BytesIO(jpeg(exif_block(TURNED))))
    assert upright(image).size == (20, 40) == upright(image).size
    assert image.size == (40, 20) and image.info["exif"] and image.getexif()[ORIENTATION] == 6
