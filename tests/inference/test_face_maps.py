import cv2
import numpy as np
import pytest

from allaprima.inference import face_maps
from allaprima.inference.face_maps import FADING, KEPT, FaceMaps, face_map
from allaprima.inference.faces import Faces
from allaprima.media.bundled import packaged_photos

BOX = np.float32([150, 60, 230, 160])
FACE = Faces(BOX[None], np.float32([0.9]))
NONE = Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
FRAME = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
FRAME = cv2.resize(FRAME, (384, 216), interpolation=cv2.INTER_CUBIC)  # one scene, whatever is found in it


@pytest.fixture
def found(monkeypatch):
    """What the detector finds, in one search after the other; what it finds last, it finds ever after."""
    answers = [FACE]

    def find(_, least_score, __):
        faces = answers.pop(0) if len(answers) > 1 else answers[0]
        sure = faces.scores >= least_score
        return Faces(faces.boxes[sure], faces.scores[sure])

    monkeypatch.setattr(face_maps, "find_faces", find)
    return answers


def maps_of(frames):
    maps = FaceMaps()
    return np.stack([maps(frame).numpy() for frame in frames])


def test_a_head_is_1_and_falls_to_0_without_an_edge():
    soft = face_map(BOX[None], 300, 400).numpy()
    assert soft.shape == (300, 400) and soft.dtype == np.float32
    assert soft.min() == 0 and soft.max() == 1
    assert soft[60:160, 150:230].min() == 1  # the face
    assert soft[20, 190] == 1  # the hair above it
    assert (soft[:, [0, -1]] == 0).all() and (soft[-1] == 0).all()
    for axis in (0, 1):  # neither the map nor its slope jumps
        assert np.abs(np.diff(soft, axis=axis)).max() < 0.04
        assert np.abs(np.diff(soft, 2, axis=axis)).max() < 0.004


def test_no_faces_is_0_everywhere_and_faces_outside_do_no_harm():
    assert not face_map(NONE.boxes, 5, 7).any()
    assert not face_map(BOX[None] + 1000, 5, 7).any() and not face_map(BOX[None] - 1000, 5, 7).any()
    assert not face_map(np.zeros((1, 4)), 5, 7).isnan().any()


def test_a_face_that_fills_the_picture_fills_the_map():
    assert face_map(np.array([[0, 0, 64, 64]]), 64, 64).numpy()[:, 8:-8].min() == 1


def test_heads_that_overlap_add_to_no_more_than_1():
    both = face_map(np.stack([BOX, BOX + np.float32([90, 0, 90, 0])]), 300, 400).numpy()
    alone = face_map(BOX[None], 300, 400).numpy()
    assert both.max() == 1 and (both >= alone).all()


def test_in_a_video_the_first_frame_has_its_faces_at_once(found):
    assert np.allclose(maps_of([FRAME])[0], face_map(BOX[None], 216, 384).numpy())


def test_a_face_that_the_detector_loses_now_and_then_does_not_flicker(found):
    found[:] = [FACE, NONE, NONE, FACE, NONE, FACE, NONE, NONE, NONE, FACE]
    maps = maps_of([FRAME] * 45)
    assert np.allclose(maps, maps[0])


def test_a_face_that_is_gone_fades(found):
    found[:] = [FACE, NONE]
    at_face = maps_of([FRAME] * (KEPT + FADING + 2))[:, 100, 190]
    assert at_face[KEPT - 1] == 1 and at_face[-1] == 0
    assert 0 < -np.diff(at_face).min() < 0.1


def test_a_face_that_comes_fades_in_once_it_was_found_twice(found):
    found[:] = [NONE, FACE, FACE]
    at_face = maps_of([FRAME] * 30)[:, 100, 190]
    assert at_face[7] == 0 and at_face[-1] == 1
    assert 0 < np.diff(at_face).max() < 0.1


def test_a_single_wrong_find_never_shows(found):
    found[:] = [NONE, FACE, NONE]
    assert not maps_of([FRAME] * 60).any()


def test_a_face_that_stays_may_score_less_than_a_new_one(found):
    weak = Faces(FACE.boxes, np.float32([0.35]))
    found[:] = [FACE, weak]
    assert maps_of([FRAME] * 60)[-1, 100, 190] == 1
    found[:] = [NONE, weak]
    assert not maps_of([FRAME] * 60).any()


def test_a_head_follows_its_face_smoothly(found):
    places = [Faces(FACE.boxes + [4.0 * face_maps.EVERY * search, 0] * 2, FACE.scores) for search in range(8)]
    found[:] = places
    maps = maps_of([FRAME] * (7 * face_maps.EVERY + 1))
    for search, soft in enumerate(maps[:: face_maps.EVERY]):  # frames in which the face's place is known
        left, top, right, bottom = places[search].boxes[0].astype(int)
        assert soft[top:bottom, left : min(right, 384)].mean() > 0.97
    assert np.abs(np.diff(maps, axis=0)).max() < 0.3
    assert maps[-1, 100, 150] < 0.5  # where the face was at first


def test_a_cut_begins_anew(found):
    found[:] = [FACE, NONE]
    assert not maps_of([FRAME, FRAME[::-1, ::-1]])[1].any()


def test_a_flash_is_no_cut(found):
    found[:] = [FACE, NONE]
    bright = np.clip(FRAME * 1.5 + 30, 0, 255).astype(np.uint8)
    maps = maps_of([FRAME, bright, FRAME])
    assert maps[0].max() == 1 and np.allclose(maps, maps[0])


def test_frames_of_one_colour_and_of_another_size_are_taken(found):
    maps = FaceMaps()
    for frame in (np.zeros((216, 384, 3), np.uint8), np.zeros((216, 384, 3), np.uint8), FRAME, FRAME[:, :200]):
        assert maps(frame).shape == frame.shape[:2]
    found[:] = [NONE, FACE]
    assert maps_of([np.zeros_like(FRAME), FRAME])[1, 100, 190] == 1  # from black to a picture is a cut


def test_few_frames_are_searched(monkeypatch):
    searches = []
    monkeypatch.setattr(face_maps, "find_faces", lambda *options: searches.append(options[1:]) or FACE)
    maps_of([FRAME] * 40)
    assert len(searches) == 10 and all(longest == face_maps.LONGEST for _, longest in searches)


def test_a_face_in_a_panning_clip_is_covered_in_every_frame():
    photo = cv2.imread(str(packaged_photos(["skimage/data/astronaut.png"])[0]))[..., ::-1]
    lefts = range(0, 120, 3)
    noise = np.random.default_rng(0).normal(0, 12, (len(lefts), 320, 380, 3))
    moving = np.stack([photo[:320, left : left + 380] for left in lefts])
    frames = (moving + noise).clip(0, 255).astype(np.uint8)
    maps = maps_of(frames)
    for soft, left in zip(maps, lefts, strict=True):
        assert soft[70:170, 190 - left : 262 - left].min() > 0.95
        assert soft[300, 10] == 0
    middles = (maps * np.arange(380)).sum((1, 2)) / maps.sum((1, 2))
    steps = -np.diff(middles[16:34])  # by then it is known how the face moves, and the map is not yet cut off
    assert steps.min() > 1.5 and steps.max() < 4.5
    assert np.abs(np.diff(maps, axis=0)).max() < 0.2
