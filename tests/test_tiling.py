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
def photo():
    return Image.fromarray(data.coffee()).resize((1500, 1000), Image.Resampling.BICUBIC)


def whole(network, photo):
    with torch.no_grad():
        return np.asarray(to_image(network(to_tensor(photo)[None])[0]), BYTES)


@pytest.mark.parametrize("side", [4, 1020, 1024, 1028, 2060, 7680])
def test_tiles_cover_a_side_once_and_are_alike(side):
    tiles = spans(side)
    assert [span.start for span in tiles] == [0, *(span.stop for span in tiles[:-1])] and tiles[-1].stop == side
    assert all(side % 4 or span.start % 4 == span.first % 4 == 0 for span in tiles)
    sizes = [span.stop - span.start for span in tiles]
    assert max(sizes) <= tiling.TILE and min(sizes) > max(sizes) / 2 - 4


@pytest.mark.parametrize("name", ["udnie", "kandinsky_realtime"])
def test_with_the_norms_of_the_whole_picture_tiles_make_the_same_picture(monkeypatch, name):
    """Odd sides, borders and input noise included: what is left is what the network sees from beyond the overlap."""
    photo = Image.fromarray(data.coffee()).resize((401, 303), Image.Resampling.BICUBIC)
    monkeypatch.setattr(tiling, "TILE", 160)
    monkeypatch.setattr(tiling, "fastest_precision", lambda _: "32-true")

    def exact(norm, inputs):
        norm.variance, norm.mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)

    def learn(self, _):
        for norm in self.norms:
            norm.learning = False
        hooks = [norm.register_forward_pre_hook(exact) for norm in self.norms]
        self.network(to_tensor(photo)[None])
        for hook in hooks:
            hook.remove()

    monkeypatch.setattr(Tiles, "_learn", learn)
    network, _ = load_network(name)
    difference = np.abs(whole(network, photo) - np.asarray(Tiles(network, "cpu")(photo), BYTES))
    assert difference.mean() < 0.05 and difference.max() <= 8


def test_tiles_are_near_the_whole_picture_and_show_no_borders(photo, monkeypatch):
    monkeypatch.setattr(tiling, "TILE", 512)
    network, _ = load_network("kandinsky_realtime")
    difference = np.abs(whole(network, photo) - np.asarray(Tiles(network, "cpu")(photo), BYTES)).mean(2)
    assert difference.mean() < 2
    borders = [span.start - network.margin for span in spans(photo.width + 2 * network.margin)[1:]]
    assert np.mean([difference[:, border - 4 : border + 4] for border in borders]) < 1.3 * difference.mean() + 0.1


@pytest.mark.parametrize(("height", "width"), [(1000, 1500), (200, 20000), (128, 128)])
def test_patches_are_from_everywhere_in_the_picture(height, width):
    places = np.array(corners(height, width))
    assert len(places) > tiling.PATCHES / 2 and not (places % 4).any()
    assert places.min() >= 0 and (places <= [height, width]).all()
    # Their middles, as corners are half a patch outside.
    assert places.mean(0) == pytest.approx([height / 2, width / 2], rel=0.1)


def test_large_pictures_are_painted_in_tiles_and_small_ones_whole(photo, monkeypatch):
    stylizer = Stylizer.load("kandinsky_realtime", engine="torch")
    in_one = np.asarray(stylizer(photo), BYTES)
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 1_000_000)
    tiled = stylizer(photo)
    assert tiled.size == photo.size and 0 < np.abs(np.asarray(tiled, BYTES) - in_one).mean() < 2


def test_what_painted_a_picture_is_told(monkeypatch):
    pytest.importorskip("openvino")
    stylizer = Stylizer.load("kandinsky_realtime", engine="openvino")
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 10_000)
    for size, engine in (((90, 60), "openvino"), ((200, 150), "torch")):
        stylizer(Image.new("RGB", size, "red"))
        assert stylizer.painted_by == engine


def test_pictures_painted_at_once_keep_their_own_norms(photo):
    tiles = Tiles(load_network("kandinsky_realtime")[0], "cpu")
    pictures = [photo, ImageOps.invert(photo)]
    alone = [tiles(picture).tobytes() for picture in pictures]
    with ThreadPoolExecutor(2) as threads:
        assert [painted.tobytes() for painted in threads.map(tiles, pictures)] == alone


@pytest.mark.parametrize("size", [(3, 3000), (3000, 20)])
def test_thin_pictures_can_be_painted_in_tiles(size):
    assert Tiles(load_network("kandinsky_realtime")[0], "cpu")(Image.new("RGB", size, "red")).size == size
