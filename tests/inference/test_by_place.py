import dataclasses
import functools

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima import networks
from allaprima.errors import FileError, UserError
from allaprima.inference import stylizer as stylizers
from allaprima.inference.by_place import across, as_map
from allaprima.inference.places import Places
from allaprima.inference.stylizer import Stylizer
from allaprima.networks.files import load_network
from allaprima.networks.settings import NetworkSettings

from ..conftest import make_clip

SIZE = 48, 80


def stylizer_of(names=("kandinsky",), levels=2, style=None):
    """A small network whose codes are far apart, which paints small pictures at their size."""
    torch.manual_seed(0)
    settings = NetworkSettings(width=8, blocks=1)
    network = networks.build(settings, names, levels)
    network.codes.data += 0.5 * torch.randn_like(network.codes)
    metadata = load_network("kandinsky")[1]
    paintings = [dataclasses.replace(metadata.paintings[0], name=name, title=name.title()) for name in names]
    metadata = dataclasses.replace(metadata, network=settings, paintings=paintings)
    stylizer = Stylizer(network, metadata, style, "torch")
    stylizer.paint = functools.partial(stylizer.paint, brush=1)
    return stylizer


@pytest.fixture
def photo():
    return torch.rand(3, *SIZE)


def halves(left, right):
    return torch.cat([torch.full((SIZE[0], SIZE[1] // 2), value) for value in (left, right)], 1)


def test_boldness(photo):
    stylizer = stylizer_of()
    calm, bold, between = (stylizer(photo, boldness=boldness) for boldness in (0, 1, 0.5))
    assert (calm - bold).abs().mean() > 0.01
    assert torch.equal(stylizer(photo), between)
    assert torch.allclose(calm, stylizer.network(photo[None], stylizer.network.codes[0, 0])[0], atol=1e-5)
    for boldness in (0.0, 0.3, 1.5):
        everywhere = stylizer.paint(photo, boldness=torch.full(SIZE, boldness))
        assert torch.allclose(everywhere.image, stylizer(photo, boldness=boldness), atol=1e-5)
    with pytest.raises(ValueError, match=r"1\.6: give a number from 0 to 1\.5"):
        stylizer(photo, boldness=1.6)
    with pytest.raises(UserError, match="one boldness: leave out boldness="):
        stylizer_of(levels=1)(photo, boldness=1)


def test_boldness_by_place_leaves_no_seam_and_is_where_it_is_meant(photo):
    stylizer = stylizer_of()
    calm, bold = (stylizer(photo, boldness=boldness) for boldness in (0, 1))
    both = stylizer(photo, boldness=halves(0.0, 1.0))
    left, right = (slice(None, 30), slice(50, None))
    assert (both - calm)[..., left].abs().mean() < (both - bold)[..., left].abs().mean()
    assert (both - bold)[..., right].abs().mean() < (both - calm)[..., right].abs().mean()


def test_tiles_are_painted_by_place_too(photo, monkeypatch):
    stylizer = stylizer_of()
    options = {"boldness": halves(0.0, 1.0)}
    whole = stylizer(photo, **options)
    monkeypatch.setattr(stylizers, "LARGEST_WHOLE", 1000)
    tiled = stylizer.paint(photo, **options)
    assert tiled.engine == "torch"
    swapped = stylizer(photo, boldness=halves(1.0, 0.0))
    assert (tiled.image - whole).abs().mean() < 0.5 * (tiled.image - swapped).abs().mean()


def test_mask(photo):
    stylizer = stylizer_of()
    painted = stylizer(photo)
    masked = stylizer(photo, mask=halves(0.0, 1.0))
    assert torch.equal(masked[..., :30], photo[..., :30]) and torch.allclose(masked[..., 50:], painted[..., 50:])
    steps = (masked - photo)[..., 38:42].abs().sum((0, 1))
    assert (steps > 0).all() and (steps < (painted - photo)[..., 38:42].abs().sum((0, 1))).all()


def test_blends(photo):
    names = ("a", "b", "c")
    alone = [stylizer_of(names, style=name)(photo) for name in names]
    blend = stylizer_of(names, style={"a": 3, "c": 1})
    assert blend.blend == {"a": 0.75, "c": 0.25} and blend.painting.name == "a_c"
    assert blend.painting.title == "75% A, 25% C"
    network = blend.network
    expected = network(photo[None], 0.75 * network.code("a") + 0.25 * network.code("c"))[0]
    assert torch.allclose(blend(photo), expected, atol=1e-5)
    for direction in ("across", "down"):
        tall = photo.transpose(1, 2) if direction == "down" else photo
        ends = [stylizer_of(names, style=name)(tall) for name in ("a", "c")]
        graded = blend(tall, blend=direction)
        graded, *ends = (each.transpose(1, 2) if direction == "down" else each for each in (graded, *ends))
        first, last = (slice(None, 12), slice(-12, None))
        assert (graded - ends[0])[..., first].abs().mean() < (graded - ends[1])[..., first].abs().mean()
        assert (graded - ends[1])[..., last].abs().mean() < (graded - ends[0])[..., last].abs().mean()
    assert len({each.sum().item() for each in alone}) == 3
    several = "one of a, b, c, or shares"
    refused = [(None, several), ("d", several), ({"a": 1, "d": 1}, several), ({}, several)]
    for style, words in [*refused, ({"a": 0}, "above 0"), ({"a": 2, "b": -1}, "from 0")]:
        with pytest.raises(UserError, match=words):
            stylizer_of(names, style=style)


def test_across_sums_to_one():
    shares = across(["a", "b", "c"], SIZE, down=False)
    assert torch.allclose(sum(shares.values()), torch.ones(SIZE))
    assert shares["a"][0, 0] == shares["c"][0, -1] == 1 and torch.equal(
        across(["a"], SIZE, True)["a"], torch.ones(SIZE)
    )


def test_maps(tmp_path):
    grey = np.full((10, 20), 51, np.uint8)
    Image.fromarray(grey).save(tmp_path / "map.png")
    for value in (grey, torch.full((5, 5), 0.2), Image.fromarray(grey).convert("RGB"), tmp_path / "map.png"):
        assert torch.allclose(as_map(value, SIZE), torch.full(SIZE, 0.2), atol=1e-3)
    assert as_map(None, SIZE) == 1 and as_map(0.25, SIZE) == 0.25
    for value in (
        torch.ones(3, 4, 4),
        torch.full((4, 4), 2.0),
        torch.full((4, 4), float("nan")),
        -0.5,
        torch.ones(0, 4),
    ):
        with pytest.raises(ValueError, match="give"):
            as_map(value, SIZE)
    with pytest.raises(FileError, match="none"):
        as_map(tmp_path / "none.png", SIZE)


def test_faces_need_the_choice(photo):
    with pytest.raises(UserError, match="leave out faces="):
        stylizer_of(levels=1)(photo, faces=torch.zeros(SIZE))
    stylizer = stylizer_of()
    assert torch.allclose(stylizer(photo, faces=torch.ones(SIZE)), stylizer(photo, boldness=0), atol=1e-5)
    assert torch.allclose(stylizer(photo, faces=torch.zeros(SIZE)), stylizer(photo), atol=1e-5)
    with pytest.raises(ValueError, match="give calm"):
        stylizer(photo, faces="bold")


def test_places_of_files_and_frames(tmp_path):
    for name in ("a", "b"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    places = Places(tmp_path / "elsewhere" / "b.jpg", {"mask": str(tmp_path), "boldness": 0.3})
    assert places() == {"mask": tmp_path / "b.png", "boldness": 0.3}
    with pytest.raises(FileError, match="no file called c"):
        Places(tmp_path / "c.jpg", {"mask": str(tmp_path)})
    clip = tmp_path / "clip.mp4"
    make_clip(clip, sound=False)
    frames = Places(tmp_path / "film.mp4", {"mask": str(clip)})
    masks = [frames()["mask"] for _ in range(12)]
    assert masks[0].shape == (34, 50) and not np.array_equal(masks[0], masks[5])
    assert np.array_equal(masks[9], masks[11])  # the last one stays
