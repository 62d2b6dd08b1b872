import cv2
import numpy as np
import pytest

from allaprima.inference.smoothing import Smoothing


def panned_frames(count, step=2, noise=20):
    """Frames of a pan, and beside each a stylized image that flickers."""
    rng = np.random.default_rng(0)
    scene = cv2.GaussianBlur(rng.random((150, 260, 3)), (0, 0), 3)
    scene = (255 * (scene - scene.min()) / np.ptp(scene)).astype(np.uint8)
    for number in range(count):
        frame = np.ascontiguousarray(scene[number : number + 120, step * number : step * number + 200])
        yield frame, np.clip(frame + rng.normal(0, noise, frame.shape), 0, 255).astype(np.uint8)


def test_flicker_is_halved():
    smoothing = Smoothing(0.6)
    for frame, painted in panned_frames(10):
        smoothed = smoothing(frame, painted)
    assert smoothed.shape == frame.shape and smoothed.dtype == np.uint8
    # Of a running mean that takes over 0.6 of the one before, sqrt(0.4 / 1.6) of the noise is left.
    left = (smoothed.astype(float) - frame).std() / (painted.astype(float) - frame).std()
    assert left == pytest.approx(0.5, abs=0.06)


def test_cuts():
    smoothing = Smoothing(0.9)
    (frame, painted), _ = panned_frames(2)
    smoothing(frame, painted)
    after = 255 - painted
    assert np.abs(smoothing(255 - frame, after).astype(float) - after).mean() < 5


def test_no_ghosts():
    smoothing = Smoothing(0.75)
    for left in (20, 120):  # something jumps that the photograph hardly shows, and the painting does
        frame = np.full((120, 200, 3), 100, np.uint8)
        frame[50:70, left : left + 20] = 110
        painted = np.where(frame == 110, 255, 20).astype(np.uint8)
        smoothed = smoothing(frame, painted)
    assert (smoothed[50:70, 20:40] == 20).all()


@pytest.mark.parametrize("shape", [(48, 800), (800, 16), (9, 9)])
def test_thin_pictures(shape):
    smoothing = Smoothing(0.9)
    for brightness in (100, 110):
        painted = np.full((*shape, 3), brightness, np.uint8)
        assert np.array_equal(smoothing(painted, painted), painted)


def test_no_smoothing():
    smoothing = Smoothing(0)
    assert all(np.array_equal(smoothing(frame, painted), painted) for frame, painted in panned_frames(3))
