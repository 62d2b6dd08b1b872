from benchmarks import benchmark

from ..conftest import compose_config


def test_networks_benchmark(capsys):
    benchmark(
        compose_config("benchmark", "benchmark=networks", "benchmark.size=64", "benchmark.networks=[kandinsky,udnie]")
    )
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["kandinsky", "udnie"]
    for _, style, content, share, johnsons, _, johnsons_share, *faces in rows:
        assert faces[1] == "of" and int(faces[0]) <= int(faces[2])
        assert 0 < float(style) < 9 and 0 < float(johnsons) < 9 and 0 < float(content) < 3
        assert share.endswith("%") and johnsons_share.endswith("%")
