"""How wide strokes are: networks paint them in pixels, people see them in a whole picture."""

BRUSHES = 0.25, 16
AUTO = "auto"
# Pixels on the short side at which the networks' strokes leave a portrait its face, and a landscape looks painted.
FITTING = 600
LONGEST = 3 * FITTING  # pixels on the long side that a small picture is enlarged to
GROWTH = 2 / 3  # of a large picture's strokes, in powers of its side: it is looked at from nearer
LEAST_WIDER = 1.2  # a brush below is not worth that a picture is painted twice


def fitting_brush(height: int, width: int) -> float:
    """The width of the strokes, in multiples of the network's, for a picture of so many pixels.

    A small one gets finer strokes, so that its subject is left, a large one wider strokes, so that it looks painted.
    """
    short, long = sorted((height, width))
    if short < FITTING:
        return min(1.0, max(BRUSHES[0], short / FITTING, long / LONGEST))
    wider = (short / FITTING) ** GROWTH
    return min(BRUSHES[1], wider) if wider >= LEAST_WIDER else 1.0
