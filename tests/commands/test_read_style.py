from allaprima.losses.style import load_style

from ..conftest import COFFEE


def test_style_file(run_script, tmp_path, refused, caffe):
    output = "out/udnie.safetensors"
    reading = "readings=[{weights: caffe, depth: 19, layers: [block1_conv2, relu4_1], sizes: [64]}]"
    described = ("name=udnie", "title=Udnie", "artist=Francis Picabia", "year=1913")
    result = run_script("read_style.py", f"image={COFFEE}", *described, reading, f"output={output}")
    assert result.returncode == 0, result.stderr
    style = load_style(tmp_path / output)
    assert style.artist == "Francis Picabia" and style.source == COFFEE.name
    ((loss_network, sizes),) = style.grams.items()
    assert loss_network == caffe.identity and list(sizes) == [64] and set(sizes[64]) == {"relu1_2", "relu4_1"}
    refused(["read_style.py", f"image={COFFEE}"], "give name=")
    refused(["read_style.py", "name=udnie"], "give image=")
