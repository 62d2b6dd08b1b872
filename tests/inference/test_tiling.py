from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from skimage import data

from allaprima.inference import stylizer as stylizers
from allaprima.inference import tiling
from allaprima.inference.stylizer import Stylizer
from allaprima.inference.tiling import Tiles, corners, spans
from allaprima.media.images import to_image, to_tensor
from allaprima.networks.files import load_network

BYTES = np.float64


@pytest.fixture(scope="module")
def large_photo():
    return Image.fromarray(data.coffee()).resize((1500, 1000), Image.Resampling.BICUBIC)


def paint_whole(network, photo):
    with torch.no_grad():
        return np.asarray(to_image(network(to_tensor(photo)[None])[0]), BYTES)


def paint_tiled(tiles, photo):
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)
    return tiles(pixels, tiles.network.code()).permute(1, 2, 0).numpy().astype(BYTES)


@pytest.mark.parametrize("side", [4, 1020, 1024, 1028, 2060, 7680])
def test_spans(side):
    tiles = spans(side)
    assert [span.start for span in tiles] == [0, *(span.stop for span in tiles[:-1])] and tiles[-1].stop == side
    assert all(side % 4 or span.start % 4 == span.first % 4 == 0 for span in tiles)
    sizes = [span.stop - span.start for span in tiles]
    assert max(sizes) <= tiling.TILE and min(sizes) > max(sizes) / 2 - 4


@pytest.mark.parametrize("name", ["udnie", "kandinsky_realtime"])
def test_tiles_with_exact_norms(monkeypatch, name):
    """Odd sides, borders and input noise included: what is left is what the network sees from beyond the overlap."""
    photo = Image.fromarray(data.coffee()).resize((401, 303), Image.Resampling.BICUBIC)
    monkeypatch.setattr(tiling, "TILE", 160)
    monkeypatch.setattr(tiling, "fastest_precision", lambda _: "32-true")

    def exact(norm, inputs):
        norm.variance, norm.mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)

    def learn(self, *_):
        for norm in self.norms:
            norm.learning = False
        hooks = [norm.register_forward_pre_hook(exact) for norm in self.norms]
        self.network(to_tensor(photo)[None])
        for hook in hooks:
            hook.remove()

    monkeypatch.setattr(Tiles, "_learn", learn)
    network, _ = load_network(name)
    difference = np.abs(paint_whole(network, photo) - paint_tiled(Tiles(network, "cpu"), photo))
    assert difference.mean() < 0.05 and difference.max() <= 8


def test_tiles_show_no_borders(large_photo, monkeypatch):
    monkeypatch.setattr(tiling, "TILE", 512)
    network, _ = load_network("kandinsky_realtime")
    difference = np.abs(paint_whole(network, large_photo) - paint_tiled(Tiles(network, "cpu"), large_photo)).mean(2)
    assert difference.mean() < 2
    borders = [span.start - network.margin for span in spans(large_photo.width + 2 * network.margin)[1:]]
    assert np.mean([difference[:, border - 4 : border + 4] for border in borders]) < 1.3 * difference.mean() + 0.1


@pytest.mark.parametrize(("height", "width"), [(1000, 1500), (200, 20000), (128, 128), (200_000, 128)])
def test_patches_cover_the_picture(height, width):
    places = np.array(corners(height, width))
    assert tiling.PATCHES / 2 < len(places) <= tiling.PATCHES and not (places % 4).any()
    assert places.min() >= 0 and (places <= [height, width]).all()
    # Their middles, as corners are half a patch outside.
    assert places.mean(0) == pytest.approx([height / 2, width / 2], rel=0.1)


def test_large_pictures_are_tiled(large_photo, monkeypatch):
    stylizer = Stylizer.load("kandinsky_realtime", engine="torch")
    in_one = np.asarray(stylizer(large_photo, brush=1), BYTES)
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 1_000_000)
    tiled = stylizer(large_photo, brush=1)
    assert tiled.size == large_photo.size and 0 < np.abs(np.asarray(tiled, BYTES) - in_one).mean() < 2
    assert np.array_equal(stylizer(np.array(large_photo), brush=1), tiled)
    floats = to_tensor(large_photo)
    batch = stylizer.paint(torch.stack([floats, floats]), brush=1)
    assert batch.engine == "torch" and torch.equal(batch.image[0], batch.image[1])
    assert (255 * batch.image[0] - 255 * to_tensor(tiled)).abs().mean() < 0.6


def test_engine_is_reported(monkeypatch):
    pytest.importorskip("openvino")
    stylizer = Stylizer.load("kandinsky_realtime", engine="openvino")
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 70_000)
    for size, engine in (((90, 60), "openvino"), ((300, 250), "torch")):
        assert stylizer.paint(Image.new("RGB", size, "red"), brush=1).engine == engine


def test_concurrent_pictures(large_photo):
    tiles = Tiles(load_network("kandinsky_realtime")[0], "cpu")
    pictures = [large_photo, ImageOps.invert(large_photo)]
    alone = [paint_tiled(tiles, picture).tobytes() for picture in pictures]
    with ThreadPoolExecutor(2) as threads:
        painted = threads.map(lambda picture: paint_tiled(tiles, picture), pictures)
        assert [each.tobytes() for each in painted] == alone


@pytest.mark.parametrize("size", [(3, 3000), (3000, 20)])
def test_thin_pictures(size):
    painted = paint_tiled(Tiles(load_network("kandinsky_realtime")[0], "cpu"), Image.new("RGB", size, "red"))
    assert painted.shape == (*size[::-1], 3)
