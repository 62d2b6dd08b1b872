import functools
import http.server
import json
import threading
from importlib.resources import files

import pytest
import torch
from PIL import Image

from allaprima.errors import UserError
from allaprima.images import ImageError
from allaprima.losses import gram_matrix
from allaprima.shipped import shipped_names
from allaprima.style import painting_style, read_style, shipped_style

from .conftest import STYLE_LAYERS

PAINTING = files("skimage") / "data" / "coffee.png"
CARRIED = ("great_wave", "kandinsky", "starry_night", "udnie")


def test_written_and_read_again_in_half_precision(tmp_path, vgg, craft):
    style = painting_style(str(PAINTING), vgg, craft.identity, STYLE_LAYERS, [64, 96])
    style.write(tmp_path / "coffee.safetensors")
    again = read_style(tmp_path / "coffee.safetensors")
    assert again.name == "coffee" and again.loss_network == craft.identity and again.sha256 == style.sha256
    for size in (64, 96):
        for layer, gram in style.targets(craft.identity, STYLE_LAYERS, size).items():
            found = again.grams[size][layer]
            assert torch.equal(found, found.T)
            assert (found - gram).norm() < 1e-3 * gram.norm()
    assert torch.equal(again.colors, style.colors)


def test_a_painting_is_read_at_the_size_asked_for(vgg, craft, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    image = Image.new("RGB", (60, 40), (200, 30, 60))
    image.save(tmp_path / "plain.png")
    style = painting_style("~/plain.png", vgg, craft.identity, ["block1_conv2"], [20])
    assert not capsys.readouterr().out
    pixels = torch.tensor([200, 30, 60]).view(1, 3, 1, 1).expand(1, 3, 20, 30) / 255
    expected = gram_matrix(vgg(pixels, ["relu1_2"])["relu1_2"])[0]
    assert torch.allclose(style.grams[20]["relu1_2"], expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(style.colors, torch.tensor([[200, 30, 60]] + 3 * [[0, 0, 0]]) / 255)
    painting_style("~/plain.png", vgg, craft.identity, ["block1_conv2"], [20, 41])
    assert "only 60 x 40 pixels" in capsys.readouterr().out


@pytest.mark.parametrize("name", CARRIED)
def test_the_project_carries_four_paintings(name, craft):
    assert set(CARRIED) <= set(shipped_names("models/styles"))
    style = shipped_style(name)
    assert style.name == name and style.title and style.artist and style.year
    assert style.source.startswith("https://commons.wikimedia.org/wiki/File:")
    for size in (256, 384, 512):
        grams = style.targets(craft.identity, STYLE_LAYERS, size)
        assert [len(gram) for gram in grams.values()] == [64, 128, 256, 512]
        assert all(torch.linalg.eigvalsh(gram.double()).min() > -0.01 * gram.norm() for gram in grams.values())


def test_the_wrong_loss_network_size_or_layer_is_refused(craft):
    style = shipped_style("kandinsky")
    with pytest.raises(UserError, match="was read with craft-vgg16"):
        style.targets("imagenet-vgg16-0", STYLE_LAYERS, 256)
    with pytest.raises(UserError, match="256, 384, 512"):
        style.targets(craft.identity, STYLE_LAYERS, 300)
    with pytest.raises(UserError, match="relu5_1"):
        style.targets(craft.identity, ["relu5_1"], 256)


def test_what_is_no_style_is_refused(tmp_path):
    with pytest.raises(UserError, match="take one of great_wave, kandinsky"):
        shipped_style("mona_lisa")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    with pytest.raises(UserError, match="not a style file"):
        read_style(tmp_path / "noise.safetensors")


@pytest.fixture
def address(tmp_path):
    (tmp_path / "page.html").write_text("<p>a picture's page</p>")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "painting.png").write_bytes(PAINTING.read_bytes())

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def test_a_painting_on_the_web(vgg, craft, address):
    here = painting_style(str(PAINTING), vgg, craft.identity, ["relu1_2"], [64])
    there = painting_style(f"{address}/painting.png?width=300", vgg, craft.identity, ["relu1_2"], [64])
    assert there.name == "painting" and there.sha256 == here.sha256
    assert torch.equal(there.grams[64]["relu1_2"], here.grams[64]["relu1_2"])
    for source, words in (
        (f"{address}/missing.png", "cannot download"),
        ("http://127.0.0.1:9/painting.png", "cannot download"),
        ("http://[", "cannot download"),
        (f"{address}/page.html", "page.html is a web page"),
        (f"{address}/text.png", "text.png is not a picture"),
        ("missing.png", "cannot read missing.png"),
        ("~nobody-of-that-name/a.png", "cannot read ~nobody"),
    ):
        with pytest.raises(ImageError, match=words) as caught:
            painting_style(source, vgg, craft.identity, ["relu1_2"], [64])
        assert "\n" not in str(caught.value)


def test_read_style_writes_the_file_that_the_project_carries(command, tmp_path, refused):
    output = "out/udnie.safetensors"
    result = command("read_style.py", "style=udnie", f"style.image={PAINTING}", "sizes=[64]", f"output={output}")
    assert result.returncode == 0, result.stderr
    style = read_style(tmp_path / output)
    assert style.artist == "Francis Picabia" and list(style.grams) == [64]
    assert json.dumps(list(style.grams[64])) == json.dumps(list(STYLE_LAYERS))
    refused(["read_style.py", f"style.image={PAINTING}"], "style")
    refused(["read_style.py", "style=udnie"], "style.image=PATH")
    refused(["read_style.py", "style=udnie", f"style.image={PAINTING}", "loss.style_layers=[]"], "give a list")
    refused(["read_style.py", "style=udnie", f"style.image={PAINTING}", "sizes=256"], "sizes=[256,512]")
