import re

import pytest


@pytest.mark.parametrize(
    ("small", "over", "under"),
    [
        (
            "train benchmark.rounds=1 benchmark.steps=1 data.size=64 data.batch_size=1 data.validation_size=64"
            " data.workers=0 network.width=8",
            ("this trainer", 5),  # images a second
            ("baseline", 4),
        ),
        ("scales benchmark.scales=[32,48] benchmark.iterations=3", ("noise", 2), ("noise", 3)),
    ],
)
def test_ratio_is_printed(in_this_process, run_script, small, over, under):
    check_ratio(run_script, small, over, under)


def test_ratio_of_fresh_processes(run_script):
    small = "optimize benchmark.rounds=1 benchmark.evaluations=5 benchmark.size=48"
    check_ratio(run_script, small, ("baseline", 1), ("this  ", 1))


def check_ratio(run_script, small, over, under):
    """Check that the last line's ratio is that of two numbers of the table."""
    result = run_script("benchmark.py", *small.split())
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    dividend, divisor = (
        float(next(line for line in lines if line.startswith(row)).split()[place]) for row, place in (over, under)
    )
    (ratio,) = re.fullmatch(r"ratio (\d+\.\d\d)", lines[-1]).groups()
    assert float(ratio) == pytest.approx(dividend / divisor, rel=0.1)
