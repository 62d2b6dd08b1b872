"""EXIF orientation read by itself: what else is damaged in a picture's EXIF does not keep it from being turned."""

import contextlib
import struct

from PIL import ExifTags, Image

EXIF_HEADER = b"Exif\0\0"
BYTE_ORDERS = {b"II": "<", b"MM": ">"}
ENTRY = 12  # bytes
LONG = 4  # EXIF's number for integers of 32 bits; orientations are of 16, or should be
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turned_upright(image: Image.Image) -> Image.Image:
    """A picture turned and mirrored as its orientation says; without one that is valid, the picture itself."""
    found = None
    with contextlib.suppress(Exception):  # of damaged EXIF Pillow raises SyntaxError, ValueError, struct.error and more
        found = image.getexif().get(ExifTags.Base.Orientation)
    if found is None:
        found = exif_orientation(image.info.get("exif") or b"")
    return image.transpose(TURNS[found]) if isinstance(found, int) and found in TURNS else image


def exif_orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8 if it is valid, in the first block of EXIF data; None if there is none.

    Pillow reads the tags in their order, and ends at the first that is damaged.
    """
    with contextlib.suppress(struct.error, KeyError):
        exif = exif.removeprefix(EXIF_HEADER)
        order = BYTE_ORDERS[exif[:2]]
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + ENTRY * count, ENTRY):
            tag, kind = struct.unpack_from(f"{order}HH", exif, place)
            if tag == ExifTags.Base.Orientation:
                return struct.unpack_from(f"{order}{'I' if kind == LONG else 'H'}", exif, place + 8)[0]
    return None
