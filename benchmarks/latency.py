"""Seconds that one picture takes."""

import time

import numpy as np
import torch

from allaprima.inference.engines import Paint

WARMUP = 3


def latencies(paint: Paint, height: int, width: int, runs: int) -> list[float]:
    """Seconds of each of `runs` runs with a picture of (1, 3, height, width), after three that are not timed."""
    photo = torch.rand(1, 3, height, width)
    for _ in range(WARMUP):
        paint(photo)
    moments = [time.perf_counter()]
    for _ in range(runs):
        paint(photo)
        moments.append(time.perf_counter())
    return np.diff(moments).tolist()
