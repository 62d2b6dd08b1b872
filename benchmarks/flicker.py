"""How much stylized videos flicker: what changes from frame to frame beside what moves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from allaprima.inference.smoothing import Smoothing, positions
from allaprima.inference.stylizer import Stylizer
from allaprima.media.images import read_photo
from allaprima.media.inputs import held_out_photos
from allaprima.media.video import open_video
from benchmarks.networks import single_networks
from benchmarks.settings import BenchmarkSettings

# Pixels a frame along and down, and growth a frame: a pan by hand, and a zoom.
MOTIONS = ((1.3, 0.4, 1.0), (0.0, 0.0, 1.01))
SENSOR_NOISE = 2.5  # standard deviation, of 255
OCCLUDED = 1.0  # pixels by which flow there and back may miss


class Step(NamedTuple):
    """A frame and the one before.

    Attributes:
        frame: (H, W, 3) uint8.
        places: where in the frame before each pixel was, (H, W, 2) float32, columns first.
        seen: (H, W) bool, whether it was there.
    """

    frame: np.ndarray
    places: np.ndarray
    seen: np.ndarray


def rendered(photo: Tensor, motion: tuple[float, ...], count: int, rng: np.random.Generator) -> Iterator[Step]:
    """A pan or zoom over a photograph, (1, 3, H, W) in [0, 1], in frames of three quarters of its sides; exact flow."""
    across, down, growth = motion
    height, width = (3 * side // 4 for side in photo.shape[-2:])
    grid = positions(np.zeros((height, width, 2), np.float32))
    center = np.array([width / 2, height / 2], np.float32)
    start = np.array([photo.shape[-1] / 8, photo.shape[-2] / 8])
    shift = np.array([across, down])
    for number in range(count):
        corner = start + (number - count / 2) * shift
        places = center + (grid - center) / growth**number + corner
        sides = np.array([photo.shape[-1], photo.shape[-2]], np.float32)
        wanted = torch.from_numpy((2 * places + 1) / sides - 1).float()[None]
        picture = F.grid_sample(photo, wanted, "bicubic", "border", align_corners=False)[0].permute(1, 2, 0).numpy()
        noisy = picture * 255 + SENSOR_NOISE * rng.standard_normal(picture.shape)
        before = (center + (grid - center) / growth + shift).astype(np.float32)
        yield Step(noisy.round().clip(0, 255).astype(np.uint8), before, inside(before))


def filmed(clip: Path, size: int, count: int) -> Iterator[Step]:
    """The first frames of a video at a short side of `size` pixels, with their optical flow (DIS)."""
    optical = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    video = open_video(clip)
    gray_before = None
    for number, frame in enumerate(video.frames()):
        if number == count:
            break
        factor = size / min(frame.pixels.shape[:2])
        pixels = cv2.resize(frame.pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        gray_before = gray if gray_before is None else gray_before
        flow = optical.calc(gray, gray_before, None)
        places = positions(flow)
        back = cv2.remap(optical.calc(gray_before, gray, None), places, None, cv2.INTER_LINEAR)
        back_again = np.linalg.norm(flow + back, axis=-1) < OCCLUDED
        yield Step(pixels, places, inside(places) & back_again)
        gray_before = gray
    video.close()


def inside(places: np.ndarray) -> np.ndarray:
    """Whether places, (H, W, 2), are in a picture of H x W."""
    height, width = places.shape[:2]
    return ((places >= 0) & (places <= [width - 1, height - 1])).all(-1)


def change(steps: Sequence[Step], pictures: Sequence[np.ndarray]) -> float:
    """Root mean square, over what was seen before, of what changed in pictures of the frames; of 255."""
    squares = []
    for step, before, now in zip(steps[1:], pictures[:-1], pictures[1:], strict=True):
        moved = cv2.remap(before.astype(np.float32), step.places, None, cv2.INTER_LINEAR)
        squares.append((((now - moved) ** 2)[step.seen]).mean())
    return float(np.sqrt(np.mean(squares)))


def flicker(stylizer: Stylizer, steps: Sequence[Step], shares: Sequence[float]) -> list[float]:
    """How much of stylized frames changes, over how much of the frames does, at each share that is taken over."""
    frames = [step.frame for step in steps]
    painted = [stylizer(frame, brush=1) for frame in frames]
    own = change(steps, frames)
    found = []
    for share in shares:
        smoothing = Smoothing(share)
        found.append(change(steps, [smoothing(*pair) for pair in zip(frames, painted, strict=True)]) / own)
    return found


def benchmark_flicker(settings: BenchmarkSettings) -> None:
    """Print for every network how much its videos flicker, on pans and zooms over photographs and on a clip.

    Raises:
        UserError: `benchmark.photos` is no folder of photographs, or a file cannot be read.
    """
    benchmark = settings.benchmark
    names = benchmark.networks or single_networks()
    rng = np.random.default_rng(0)
    side = benchmark.size * 4 // 3
    photos = [read_photo(path, side) for path in held_out_photos(benchmark.photos)]
    films = [list(rendered(photo, motion, benchmark.frames, rng)) for photo in photos for motion in MOTIONS]
    kinds = {"rendered": films}
    if benchmark.clip:
        kinds["clip"] = [list(filmed(Path(benchmark.clip), benchmark.size, 10 * benchmark.frames))]
    print(f"{len(films)} pans and zooms over photographs; change beside the motion, over that of the frames themselves")
    print(f"{'':40}" + "".join(f"{f'{kind} smooth={share:g}':>22}" for kind in kinds for share in benchmark.smooth))
    for name in names:
        stylizer = Stylizer.load(name)
        columns = [
            np.mean([flicker(stylizer, film, benchmark.smooth) for film in films], axis=0) for films in kinds.values()
        ]
        print(f"{name:40}" + "".join(f"{value:22.2f}" for column in columns for value in column), flush=True)
