import numpy as np
import pytest

from benchmarks.flicker import MOTIONS, SENSOR_NOISE, change, filmed, rendered

from ..conftest import make_clip


@pytest.mark.parametrize("motion", MOTIONS)
def test_rendered_flow_is_exact(held_out, motion):
    """What is left is the camera's noise, which resampling halves in the frame before; a wrong flow leaves far more."""
    steps = list(rendered(held_out[:1], motion, 4, np.random.default_rng(0)))
    frames = [step.frame for step in steps]
    wrong = [step._replace(places=step.places + 1) for step in steps]
    assert change(steps, frames) < 2.2 * SENSOR_NOISE < change(wrong, frames)


def test_clip_flow_is_found(tmp_path):
    steps = list(filmed(make_clip(tmp_path / "clip.mp4", 160, 120), 96, 5))
    assert len(steps) == 5 and steps[1].frame.shape == (96, 128, 3)
    assert all(step.seen.mean() > 0.5 and step.places.shape == (96, 128, 2) for step in steps)
