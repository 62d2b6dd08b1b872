import functools
import hashlib
import http.server
import io
import re
import threading
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.data import coco
from allaprima.data.leaves import draw_leaves
from allaprima.data.module import PhotoDataModule
from allaprima.data.photos import (
    STARTER_TRAINING,
    STARTER_VALIDATION,
    StepBatches,
    TrainingSamples,
    find_photos,
    packaged_photos,
    random_square,
    validation_squares,
)
from allaprima.errors import UserError

SETTINGS = {
    "leaves_share": 0.0,
    "size": 32,
    "validation_size": 64,
    "validation_photos": 16,
    "batch_size": 2,
    "workers": 0,
    "seed": 0,
}


@pytest.fixture
def photos(tmp_path):
    """A folder tree with every kind of file that users have."""
    root = tmp_path / "photos"
    (root / "deep").mkdir(parents=True)
    values = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    color, grey = Image.fromarray(values), Image.fromarray(values[..., 0])
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


def test_leaves_are_a_function_of_the_seed_and_look_like_photographs():
    first, again, other = (draw_leaves(np.random.default_rng(seed), 96) for seed in (1, 1, 2))
    assert np.array_equal(np.asarray(first), np.asarray(again))
    assert not np.array_equal(np.asarray(first), np.asarray(other))
    assert first.size == (96, 96) and first.mode == "RGB"

    # Photographs' amplitude falls about as 1/f: from 4 to 32 cycles a side, eightfold.
    def falls(image):
        grey = np.asarray(image.convert("L").resize((96, 96)), float)
        windowed = (grey - grey.mean()) * np.hanning(96) * np.hanning(96)[:, None]
        spectrum = np.abs(np.fft.fft2(windowed))
        radius = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(96) * 96]))
        low, high = (np.sqrt((spectrum[(radius > r / 1.2) & (radius < r * 1.2)] ** 2).mean()) for r in (4, 32))
        return low / high

    drawn = np.median([falls(draw_leaves(np.random.default_rng(seed), 96)) for seed in range(16)])
    real = np.median([falls(Image.open(path)) for path in packaged_photos(STARTER_VALIDATION)])
    assert real / 2.5 < drawn < real * 2.5


def test_a_sample_is_a_function_of_the_seed_and_its_number():
    photos = packaged_photos(STARTER_TRAINING)
    first, again, other = (TrainingSamples(photos, 0.5, 32, seed) for seed in (3, 3, 4))
    for index in (0, 5, 11):
        assert torch.equal(first[index][0], again[index][0])
        assert not torch.equal(first[index][0], other[index][0])
        assert not torch.equal(first[index][0], first[index + 1][0])


def test_every_photograph_comes_before_one_comes_again(tmp_path):
    for shade in range(7):
        Image.new("L", (40, 40), 30 * shade).save(tmp_path / f"{shade}.png")
    samples = TrainingSamples(find_photos(tmp_path), 0.0, 32, seed=0)
    shades = [round(samples[index][0].mean().item() * 255 / 30) for index in range(14)]
    assert sorted(shades[:7]) == sorted(shades[7:]) == list(range(7))
    assert shades[:7] != shades[7:]


def test_steps_share_out_the_samples_and_go_on_where_a_run_stands():
    whole = list(StepBatches(0, 5, 2, 0, 1))
    assert whole == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert list(StepBatches(3, 5, 2, 0, 1)) == whole[3:]
    two = [list(StepBatches(0, 2, 2, rank, 2)) for rank in (0, 1)]
    assert two == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


def test_every_kind_of_file_is_read_or_passed_over_with_a_count(photos):
    data = PhotoDataModule("folder", str(photos), **SETTINGS)
    assert len(data.photos) == 9
    samples = TrainingSamples(data.photos, 0.0, 32, seed=0)
    skipped = 0
    for index in range(60):
        image, passed_over = samples[index]
        assert image.shape == (3, 32, 32) and image.min() >= 0 and image.max() <= 1
        skipped += passed_over
    # Two of nine cannot be read.
    assert 6 <= skipped <= 34


def test_squares_differ_in_scale_place_and_direction():
    ramp = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1)))
    rng = np.random.default_rng(0)
    squares = [np.asarray(random_square(rng, ramp, 20), float) for _ in range(40)]
    slopes = np.array([square[:, -1].mean() - square[:, 0].mean() for square in squares])
    assert (slopes > 0).sum() > 8 and (slopes < 0).sum() > 8
    assert np.abs(slopes).max() > 1.5 * np.abs(slopes).min()
    assert np.std([square.mean() for square in squares]) > 10


def test_starter_validates_on_photographs_it_never_trains_on(held_out):
    assert not set(STARTER_TRAINING) & set(STARTER_VALIDATION)
    assert all(path.is_file() for path in packaged_photos([*STARTER_TRAINING, *STARTER_VALIDATION]))
    data = PhotoDataModule("starter", None, **SETTINGS)
    assert data.validation.shape == (4, 3, 64, 64)
    assert held_out.shape == (4, 3, 256, 256)
    leaves = PhotoDataModule("leaves", None, **SETTINGS | {"leaves_share": 1.0})
    assert torch.equal(leaves.validation, data.validation)


@pytest.mark.parametrize(
    ("source", "root", "words"),
    [
        ("folder", None, "data.root=PATH"),
        ("folder", "nowhere", "not a folder"),
        ("folder", "empty", "no pictures"),
        ("folder", "unreadable", "can be read"),
        ("coco", "empty", "download.py"),
        ("imagenet", "empty", "take one of starter"),
        ("starter", "empty", "data=folder"),
        ("leaves", None, "leaves_share=1"),
    ],
)
def test_wrong_folders_are_refused(tmp_path, source, root, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "text.png").write_text("not a picture")
    with pytest.raises(UserError, match=re.escape(words)):
        PhotoDataModule(source, root and str(tmp_path / root), **SETTINGS)


def test_validation_photographs_that_cannot_be_read_are_left_out(photos):
    assert validation_squares([photos / "text.png", photos / "color.jpg"], 16).shape == (1, 3, 16, 16)
    with pytest.raises(UserError, match=r"text\.png"):
        validation_squares([photos / "text.png"], 16)


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves byte ranges, and breaks off the first answer to each file after `break_after` bytes."""

    break_after = 10**9

    def do_GET(self):
        content = (coco.Path(self.directory) / self.path.lstrip("/")).read_bytes()
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.server.ranges.append((self.path, start))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if start else self.break_after
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A small COCO on a server of its own: address, archives, the ranges asked for."""
    folder = tmp_path / "server"
    (folder / "zips").mkdir(parents=True)
    picture = io.BytesIO()
    Image.effect_noise((300, 300), 80).convert("RGB").save(picture, "JPEG")
    archives = []
    for address, names in (
        ("zips/train2017.zip", ["train2017/1.jpg", "train2017/2.jpg"]),
        ("zips/val2017.zip", ["val2017/3.jpg"]),
        ("zips/annotations.zip", ["annotations/instances_train2017.json"]),
    ):
        with zipfile.ZipFile(folder / address, "w") as archive:
            for name in names:
                archive.writestr(name, picture.getvalue())
        digest = hashlib.md5((folder / address).read_bytes()).hexdigest()
        archives.append(coco.Archive(address, digest, names[0] if "json" in names[0] else names[0].split("/")[0]))
    handler = functools.partial(RangeHandler, directory=str(folder))
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.ranges = []
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", tuple(archives), httpd.ranges
    httpd.shutdown()


def test_download_goes_on_where_it_broke_and_what_came_is_coco(tmp_path, server, monkeypatch):
    address, archives, ranges = server
    root = tmp_path / "coco"
    monkeypatch.setattr(RangeHandler, "break_after", 5000)
    for _ in archives:
        with pytest.raises(UserError, match="run this again"):
            coco.download(root, address, archives)
    coco.download(root, address, archives)
    assert [start for path, start in ranges if path == "/zips/train2017.zip"] == [0, 5000]
    training, held_out = coco.photos(root)
    assert [path.name for path in training] == ["1.jpg", "2.jpg"] and [path.name for path in held_out] == ["3.jpg"]
    data = PhotoDataModule("coco", str(root), **SETTINGS)
    assert data.validation.shape == (1, 3, 64, 64)
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "train2017", "val2017"]
    asked = len(ranges)
    coco.download(root, address, archives)
    assert len(ranges) == asked


def test_the_command_downloads(command, server, monkeypatch, tmp_path):
    address, archives, _ = server
    monkeypatch.setattr(coco.download, "__defaults__", (archives,))
    result = command("download.py", "root=mine", f"server={address}")
    assert result.returncode == 0, result.stderr
    assert "train2017.zip: 100%" in result.stderr and len(coco.photos(tmp_path / "mine")[0]) == 2


def test_download_refuses_what_came_damaged_or_not_at_all(tmp_path, server):
    address, archives, _ = server
    with pytest.raises(UserError, match="MD5"):
        coco.download(tmp_path / "a", address, (archives[0]._replace(md5="0" * 32),))
    assert list((tmp_path / "a").iterdir()) == []
    with pytest.raises(UserError, match="not a web address"):
        coco.download(tmp_path / "b", "127.0.0.1", archives)
    with pytest.raises(UserError, match="cannot reach"):
        coco.download(tmp_path / "b", "http://127.0.0.1:9", archives)
