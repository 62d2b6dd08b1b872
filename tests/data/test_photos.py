import io

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.data.module import DataSettings, PhotoDataModule
from allaprima.data.photos import StepBatches, TrainingSamples, random_square, validation_squares
from allaprima.errors import UserError
from allaprima.media.bundled import STARTER_TRAINING, packaged_photos
from allaprima.media.inputs import find_photos

from .conftest import DATA_SETTINGS


@pytest.fixture
def photo_folder(tmp_path):
    """A folder tree with every kind of file that users have."""
    root = tmp_path / "photos"
    (root / "deep").mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    color = Image.fromarray(values)
    grey = Image.fromarray(values[..., 0])
    color.save(root / "color.jpg")
    grey.save(root / "deep" / "grey.png")
    color.convert("CMYK").save(root / "cmyk.jpg")
    color.quantize(64).save(root / "palette.gif")
    Image.fromarray(values[..., 0].astype(np.uint16) * 256).save(root / "deep" / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    color.save(root / "turned.JPG", exif=exif)
    color.resize((5, 3)).save(root / "tiny.webp")
    encoded = io.BytesIO()
    color.resize((700, 500)).save(encoded, "JPEG")
    (root / "truncated.jpg").write_bytes(encoded.getvalue()[:9000])
    (root / "text.png").write_text("not a picture")
    (root / "notes.txt").write_text("not even called one")
    return root


def test_samples_are_reproducible():
    photos = packaged_photos(STARTER_TRAINING)
    first, again, other = (TrainingSamples(photos, 0.5, 32, seed) for seed in (3, 3, 4))
    for index in (0, 5, 11):
        assert torch.equal(first[index][0], again[index][0])
        assert not torch.equal(first[index][0], other[index][0])
        assert not torch.equal(first[index][0], first[index + 1][0])


def test_every_photograph_is_used(tmp_path):
    for shade in range(7):
        Image.new("L", (40, 40), 30 * shade).save(tmp_path / f"{shade}.png")
    samples = TrainingSamples(find_photos(tmp_path), 0.0, 32, seed=0)
    shades = [round(samples[index][0].mean().item() * 255 / 30) for index in range(14)]
    assert sorted(shades[:7]) == sorted(shades[7:]) == list(range(7))
    assert shades[:7] != shades[7:]


def test_step_batches():
    whole = list(StepBatches(0, 5, 2, 0, 1))
    assert whole == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert list(StepBatches(3, 5, 2, 0, 1)) == whole[3:]
    two = [list(StepBatches(0, 2, 2, rank, 2)) for rank in (0, 1)]
    assert two == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


def test_unreadable_files_are_counted(photo_folder):
    data = PhotoDataModule(DataSettings(source="folder", root=str(photo_folder), **DATA_SETTINGS), 0)
    assert len(data.photos) == 9
    samples = TrainingSamples(data.photos, 0.0, 32, seed=0)
    skipped = 0
    for index in range(60):
        image, passed_over = samples[index]
        assert image.shape == (3, 32, 32) and image.min() >= 0 and image.max() <= 1
        skipped += passed_over
    # Two of nine cannot be read.
    assert 6 <= skipped <= 34


def test_random_squares():
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1)))
    rng = np.random.default_rng(0)
    squares = [np.asarray(random_square(rng, ramp, 20), float) for _ in range(40)]
    slopes = np.array([square[:, -1].mean() - square[:, 0].mean() for square in squares])
    assert (slopes > 0).sum() > 8 and (slopes < 0).sum() > 8
    assert np.abs(slopes).max() > 1.5 * np.abs(slopes).min()
    assert np.std([square.mean() for square in squares]) > 10


def test_unreadable_validation_photographs(photo_folder):
    assert validation_squares([photo_folder / "text.png", photo_folder / "color.jpg"], 16).shape == (1, 3, 16, 16)
    with pytest.raises(UserError, match=r"text\.png"):
        validation_squares([photo_folder / "text.png"], 16)


def test_transparent_photographs_are_seen_on_white(tmp_path):
    Image.new("RGBA", (50, 50), (200, 0, 0, 0)).save(tmp_path / "nothing.png")
    assert TrainingSamples([tmp_path / "nothing.png"], 0.0, 32, seed=0)[0].photos.min() == 1
    assert validation_squares([tmp_path / "nothing.png"], 32).min() == 1


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000), (3000, 60)])
def test_photographs_of_any_shape(tmp_path, size):
    Image.effect_noise(size, 80).convert("RGB").save(tmp_path / "long.png")
    samples = TrainingSamples([tmp_path / "long.png"], 0.0, 32, seed=0)
    assert all(samples[index].photos.shape == (3, 32, 32) for index in range(4))
    assert validation_squares([tmp_path / "long.png"], 32).shape == (1, 3, 32, 32)
