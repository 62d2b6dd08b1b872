import pytest
import torch
from PIL import Image

from allaprima.errors import FileError, UserError
from allaprima.losses.gram import gram_matrix
from allaprima.losses.objective import LossSettings, StyleSettings, load_objective
from allaprima.losses.style import bundled_style, load_style, read_painting
from allaprima.media.bundled import bundled_names
from allaprima.media.download import without_secrets

from ..conftest import COFFEE, STYLE_LAYERS, compose_config, serve_folder

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


@pytest.fixture
def address(tmp_path):
    (tmp_path / "page.html").write_text("<p>a picture's page</p>")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "painting.png").write_bytes(COFFEE.read_bytes())
    with serve_folder(tmp_path) as url:
        yield url


def test_write_and_load(tmp_path, vgg, caffe):
    style = read_painting(str(COFFEE), vgg, STYLE_LAYERS, [64, 96])
    style.write(tmp_path / "coffee.safetensors")
    again = load_style(tmp_path / "coffee.safetensors")
    assert again.name == "coffee" and again.sha256 == style.sha256
    for size in (64, 96):
        for layer, gram in style.targets(caffe.identity, STYLE_LAYERS, size).items():
            found = again.targets(caffe.identity, STYLE_LAYERS, size)[layer]
            assert torch.equal(found, found.T)
            assert (found - gram).norm() < 0.01 * gram.norm()


def test_pictures_of_one_hand(vgg, caffe, tmp_path):
    folder = tmp_path / "one_hand"
    folder.mkdir()
    for name in ("a", "b"):
        Image.effect_noise((60, 40), 40 if name == "a" else 90).convert("RGB").save(folder / f"{name}.png")
    alone = [read_painting(str(folder / f"{name}.png"), vgg, ["relu1_1"], [32]) for name in ("a", "b")]
    style = read_painting(str(folder), vgg, ["relu1_1"], [32])
    grams = [each.grams[caffe.identity][32]["relu1_1"] for each in (*alone, style)]
    assert torch.allclose(grams[2], (grams[0] + grams[1]) / 2, rtol=1e-4)
    assert style.name == "one_hand" and style.sha256 not in {each.sha256 for each in alone}
    (folder / "b.png").unlink()
    assert read_painting(str(folder), vgg, ["relu1_1"], [32]).sha256 != style.sha256


def test_reading_size(vgg, caffe, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    image = Image.new("RGB", (60, 40), (200, 30, 60))
    image.save(tmp_path / "plain.png")
    style = read_painting("~/plain.png", vgg, ["block1_conv2"], [20])
    assert not capsys.readouterr().out
    pixels = torch.tensor([200, 30, 60]).view(1, 3, 1, 1).expand(1, 3, 20, 30) / 255
    expected = gram_matrix(vgg(pixels, ["relu1_2"])["relu1_2"])[0]
    assert torch.allclose(style.grams[caffe.identity][20]["relu1_2"], expected, rtol=1e-4, atol=1e-4)
    read_painting("~/plain.png", vgg, ["block1_conv2"], [20, 41])
    assert "only 60 x 40 pixels" in capsys.readouterr().out


def test_paintings_are_read_on_white(vgg, caffe, tmp_path, capsys):
    strokes = Image.effect_noise((60, 40), 80).convert("RGB")
    alpha = Image.linear_gradient("L").resize((60, 40)).point(lambda value: 255 * (value > 128))
    flat = Image.composite(strokes, Image.new("RGB", (60, 40), "white"), alpha)
    strokes.putalpha(alpha)
    strokes.save(tmp_path / "strokes.png")
    flat.save(tmp_path / "flat.png")
    grams = {}
    for name in ("flat", "strokes"):
        style = read_painting(str(tmp_path / f"{name}.png"), vgg, ["relu2_1"], [40])
        grams[name] = style.grams[caffe.identity][40]["relu2_1"]
        said = "the painting has transparency: it is read on white" in capsys.readouterr().out
        assert said == (name == "strokes")
    assert torch.equal(grams["flat"], grams["strokes"])
    flat.putalpha(255)
    flat.save(tmp_path / "opaque.png")
    read_painting(str(tmp_path / "opaque.png"), vgg, ["relu1_1"], [40])
    assert "transparency" not in capsys.readouterr().out


def test_bundled_paintings():
    assert set(bundled_names("models/styles")) == BUNDLED


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled_gram_matrices(name):
    for loss in ("relative", "johnson", "gatys"):
        config = compose_config("train", f"style={name}", f"loss={loss}")
        style, objective = load_objective(LossSettings(**config.loss), StyleSettings(**config.style))
        assert style.name == name and style.title and style.artist and style.year
        channels = [objective.get_buffer(f"gram_{layer}").shape[0] for layer in objective.style_layers]
        assert channels == {"johnson": [64, 128, 256, 512]}.get(loss, [64, 128, 256, 512, 512])
    for size in (256, 384, 512):
        grams = style.targets(objective.vgg.identity, STYLE_LAYERS, size)
        assert all(torch.linalg.eigvalsh(gram.double()).min() > -0.01 * gram.norm() for gram in grams.values())


def test_missing_targets_are_refused(caffe):
    style = bundled_style("kandinsky")
    with pytest.raises(UserError, match="was read with caffe-vgg"):
        style.targets("imagenet-vgg16-0", STYLE_LAYERS, 256)
    with pytest.raises(UserError, match="256, 384, 512"):
        style.targets(caffe.identity, STYLE_LAYERS, 300)
    with pytest.raises(UserError, match="relu5_3"):
        style.targets(caffe.identity, ["relu5_3"], 256)


def test_invalid_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="take one of edtaonisl, great_wave"):
        bundled_style("mona_lisa")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    with pytest.raises(UserError, match="not a style file"):
        load_style(tmp_path / "noise.safetensors")


def test_web_addresses(vgg, caffe, address):
    here = read_painting(str(COFFEE), vgg, ["relu1_2"], [64])
    there = read_painting(f"{address}/painting.png?width=300", vgg, ["relu1_2"], [64])
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
            read_painting(source, vgg, ["relu1_2"], [64])
        assert "\n" not in str(caught.value)


def test_secrets_are_not_kept(vgg, address):
    style = read_painting(f"{address}/painting.png?token=secret", vgg, ["relu1_1"], [64])
    assert style.source == f"{address}/painting.png"
    assert without_secrets("https://user:secret@example.org:8080/a.png?b=c#d") == "https://example.org:8080/a.png"
