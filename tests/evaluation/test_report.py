import pytest

from allaprima.evaluation.comparison import by_size
from allaprima.evaluation.report import equivalent_rows, time_rows

from .conftest import make_comparison


def test_report_tables():
    sizes = by_size([make_comparison(0.5, [3.0, 1.0, 0.5, 0.4]), make_comparison(0.1, [3.0, 1.0, 0.5, 0.4])])
    (row,) = equivalent_rows(sizes)
    assert row == {"network": "a", "size": 4, "start": "from noise", "of": 3} | {
        "median": "2.5",
        "least": 2,
        "most": "3 or more",
        "gain": pytest.approx((9.0 / 0.5 + 9.0 / 0.1) / 2),
    }
    (row,) = time_rows(sizes, [1, 3, 500])
    assert row["slow"] == pytest.approx([0.1, 0.3, 0.3]) and row["fast"] == pytest.approx(0.01)
    assert row["speedup"] == pytest.approx(30)
