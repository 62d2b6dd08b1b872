import pytest

from allaprima.inference.brush import BRUSHES, fitting_brush


@pytest.mark.parametrize(
    ("size", "worked"),
    [
        ((321, 481), 600),
        ((600, 900), 600),
        ((900, 700), 700),
        ((3000, 4000), 1026),
        ((30, 40), 120),
        ((1, 5000), 1),
        ((100, 900), 200),
    ],
)
def test_side_that_is_painted_first(size, worked):
    assert min(size) / fitting_brush(*size) == pytest.approx(worked, rel=1e-2)


def test_strokes_grow_with_the_picture():
    brushes = [fitting_brush(side, side) for side in range(1, 200_000, 97)]
    assert brushes == sorted(brushes) and min(brushes) == BRUSHES[0] and max(brushes) == BRUSHES[1]
