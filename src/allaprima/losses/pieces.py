"""A painting in pieces: one of any length is read in the memory of one that is four times as long as high."""

import math

from PIL import Image

from allaprima.media.images import LONGEST

MOST_PIECES = 4


def pieces(painting: Image.Image) -> list[tuple[float, float, float, float]]:
    """Boxes of equal size, (left, top, right, bottom) in pixels, none more than `LONGEST` times as long as high.

    They cover the painting, or, where that takes more than `MOST_PIECES`, are from everywhere along it.
    """
    short, long = sorted(painting.size)
    wanted = math.ceil(long / (LONGEST * short))
    count = min(wanted, MOST_PIECES)
    length = long / wanted
    starts = [(long - length) * number / max(1, count - 1) for number in range(count)]
    if painting.width == long:
        return [(start, 0, min(long, start + length), short) for start in starts]
    return [(0, start, short, min(long, start + length)) for start in starts]


def note_on_pieces(painting: Image.Image) -> str:
    """What is said of a painting of which only a part is read; nothing of others."""
    short, long = sorted(painting.size)
    boxes = pieces(painting)
    share = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) / (short * long)
    if share > 0.99:
        return ""
    return f"the painting is {long / short:.0f} times as long as high: {share:.0%} of it is read, from everywhere in it"
