import contextlib
import functools
import http.server
import os
import threading
import time
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from PIL import Image

from allaprima.commands.objective import load_objective
from allaprima.errors import FileError, UserError
from allaprima.losses.gram import gram_matrix
from allaprima.losses.style import bundled_style, painting_style, read_style
from allaprima.media.bundled import bundled_names
from allaprima.media.files import fetch_picture, without_secrets
from allaprima.media.images import read_picture

from .conftest import STYLE_LAYERS, settings

PAINTING = files("skimage") / "data" / "coffee.png"
BUNDLED = {
    "edtaonisl",
    "great_wave",
    "kandinsky",
    "night_cafe",
    "olive_trees",
    "self_portrait_straw_hat",
    "starry_night",
    "three_tahitian_women",
    "udnie",
    "wheat_field_with_cypresses",
    "woman_with_a_hat",
}


def test_written_and_read_again_in_eight_bits(tmp_path, vgg, caffe):
    style = painting_style(str(PAINTING), vgg, STYLE_LAYERS, [64, 96])
    style.write(tmp_path / "coffee.safetensors")
    again = read_style(tmp_path / "coffee.safetensors")
    assert again.name == "coffee" and again.sha256 == style.sha256
    for size in (64, 96):
        for layer, gram in style.targets(caffe.identity, STYLE_LAYERS, size).items():
            found = again.targets(caffe.identity, STYLE_LAYERS, size)[layer]
            assert torch.equal(found, found.T)
            assert (found - gram).norm() < 0.01 * gram.norm()


def test_a_painting_is_read_at_the_size_asked_for(vgg, caffe, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    image = Image.new("RGB", (60, 40), (200, 30, 60))
    image.save(tmp_path / "plain.png")
    style = painting_style("~/plain.png", vgg, ["block1_conv2"], [20])
    assert not capsys.readouterr().out
    pixels = torch.tensor([200, 30, 60]).view(1, 3, 1, 1).expand(1, 3, 20, 30) / 255
    expected = gram_matrix(vgg(pixels, ["relu1_2"])["relu1_2"])[0]
    assert torch.allclose(style.grams[caffe.identity][20]["relu1_2"], expected, rtol=1e-4, atol=1e-4)
    painting_style("~/plain.png", vgg, ["block1_conv2"], [20, 41])
    assert "only 60 x 40 pixels" in capsys.readouterr().out


def test_eleven_paintings_are_bundled():
    assert set(bundled_names("models/styles")) == BUNDLED


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_a_bundled_painting_has_what_the_three_objectives_need(name):
    for loss in ("relative", "johnson", "gatys"):
        config = settings("train", f"style={name}", f"loss={loss}")
        style, objective = load_objective(config.loss, config.style)
        assert style.name == name and style.title and style.artist and style.year
        channels = [objective.get_buffer(f"gram_{layer}").shape[0] for layer in objective.style_layers]
        assert channels == {"johnson": [64, 128, 256, 512]}.get(loss, [64, 128, 256, 512, 512])
    for size in (256, 384, 512):
        grams = style.targets(objective.vgg.identity, STYLE_LAYERS, size)
        assert all(torch.linalg.eigvalsh(gram.double()).min() > -0.01 * gram.norm() for gram in grams.values())


def test_the_wrong_loss_network_size_or_layer_is_refused(caffe):
    style = bundled_style("kandinsky")
    with pytest.raises(UserError, match="was read with caffe-vgg"):
        style.targets("imagenet-vgg16-0", STYLE_LAYERS, 256)
    with pytest.raises(UserError, match="256, 384, 512"):
        style.targets(caffe.identity, STYLE_LAYERS, 300)
    with pytest.raises(UserError, match="relu5_3"):
        style.targets(caffe.identity, ["relu5_3"], 256)


def test_what_is_no_style_is_refused(tmp_path):
    with pytest.raises(UserError, match="take one of edtaonisl, great_wave"):
        bundled_style("mona_lisa")
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


def test_a_painting_on_the_web(vgg, caffe, address):
    here = painting_style(str(PAINTING), vgg, ["relu1_2"], [64])
    there = painting_style(f"{address}/painting.png?width=300", vgg, ["relu1_2"], [64])
    assert there.name == "painting" and there.sha256 == here.sha256
    assert torch.equal(there.grams[caffe.identity][64]["relu1_2"], here.grams[caffe.identity][64]["relu1_2"])
    for source, words in (
        (f"{address}/missing.png", "cannot download"),
        ("http://127.0.0.1:9/painting.png", "cannot download"),
        ("http://[", "cannot download"),
        (f"{address}/page.html", "page.html is a web page"),
        (f"{address}/text.png", "text.png is not a picture"),
        ("missing.png", "cannot read missing.png"),
        ("~nobody-of-that-name/a.png", "cannot read ~nobody"),
    ):
        with pytest.raises(FileError, match=words) as caught:
            painting_style(source, vgg, ["relu1_2"], [64])
        assert "\n" not in str(caught.value)


def test_read_style_writes_a_style_file(command, tmp_path, refused, caffe):
    output = "out/udnie.safetensors"
    reading = "readings=[{weights: caffe, depth: 19, layers: [block1_conv2, relu4_1], sizes: [64]}]"
    result = command("read_style.py", "style=udnie", f"style.image={PAINTING}", reading, f"output={output}")
    assert result.returncode == 0, result.stderr
    style = read_style(tmp_path / output)
    assert style.artist == "Francis Picabia"
    ((loss_network, sizes),) = style.grams.items()
    assert loss_network == caffe.identity and list(sizes) == [64] and set(sizes[64]) == {"relu1_2", "relu4_1"}
    refused(["read_style.py", f"style.image={PAINTING}"], "style")
    refused(["read_style.py", "style=udnie"], "style.image=PATH")


@pytest.fixture
def endless():
    """A server that sends a picture which never ends: as fast as it can, or in drips."""

    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            drips = self.path.startswith("/drips")
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x" if drips else bytes(1 << 16))
                    time.sleep(0.05 if drips else 0)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(("path", "words"), [("drips.png", r"cannot download .*more than 1 s"), ("large.png", "3 MB")])
def test_a_download_has_an_end(endless, path, words, monkeypatch):
    monkeypatch.setattr("allaprima.media.files.DOWNLOAD_SECONDS", 1)
    monkeypatch.setattr("allaprima.media.files.LARGEST_PICTURE", 3 << 20)
    with pytest.raises(FileError, match=words):
        fetch_picture(f"{endless}/{path}")


def test_devices_and_pipes_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for source in ("/dev/zero", str(tmp_path / "pipe.png")):
        with pytest.raises(FileError, match="a device or a pipe"):
            fetch_picture(source)
        with pytest.raises(FileError, match="a device or a pipe"):
            read_picture(Path(source))


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("allaprima.media.files.LARGEST_PICTURE", 1 << 20)
    (tmp_path / "large.png").write_bytes(bytes(2 << 20))
    with pytest.raises(FileError, match="more than 1 MB"):
        fetch_picture(str(tmp_path / "large.png"))


def test_an_addresss_secrets_are_not_kept(vgg, address):
    style = painting_style(f"{address}/painting.png?token=secret", vgg, ["relu1_1"], [64])
    assert style.source == f"{address}/painting.png"
    assert without_secrets("https://user:secret@example.org:8080/a.png?b=c#d") == "https://example.org:8080/a.png"
