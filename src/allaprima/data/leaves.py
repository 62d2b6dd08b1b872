"""Dead-leaves pictures: occluding shapes of power-law sizes, which have the edges and the spectrum of photographs.

Photographs are in good part things in front of other things at every distance, and pictures of nothing else share
their statistics (Lee, Mumford, Huang 2001). A network can therefore learn to paint photographs without one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

OVERSAMPLING = 2
SHAPES = 220
SMALLEST_RADIUS = 0.02  # of the picture's side
LARGEST_RADIUS = 0.7
# Shares of the pictures with a sky, soft and nearly even, and with a dark mass: networks meet both in photographs, and
# learn there what to do with a place that has hardly any detail.
SKIES = 0.4
SHADOWS = 0.3


def draw_leaves(rng: Generator, size: int) -> Image.Image:
    """Draw one RGB picture of size x size pixels, a function of the state of `rng` alone."""
    side = size * OVERSAMPLING
    colors = _palette(rng)
    paint = Image.new("RGB", (side, side), _jitter(rng, colors))
    # Beside its colour every shape has a strength of texture and a slope of shading across the picture, x and y.
    matter = Image.new("RGB", (side, side), _matter(rng))
    brushes = ImageDraw.Draw(paint), ImageDraw.Draw(matter)
    for radius in _power_law_radii(rng) * side:
        center = rng.uniform(-0.1, 1.1, 2) * side
        _draw_shape(rng, brushes, center, radius, (_jitter(rng, colors), _matter(rng)))
    color, surface = (
        np.asarray(picture.resize((size, size), Image.Resampling.BOX), np.float32) / 255 for picture in (paint, matter)
    )
    shaded = _shade(rng, color, surface)
    if rng.random() < SKIES:
        shaded = _under_a_sky(rng, shaded, colors)
    if rng.random() < SHADOWS:
        shaded *= _shadow(rng, size)
    return Image.fromarray((np.clip(shaded, 0, 1) * 255).astype(np.uint8))


def _palette(rng: Generator) -> np.ndarray:
    # Light and dark around a common tint, as one light gives a scene, and more or less colour in it.
    tint = rng.normal(0, 18, 3)
    colors = rng.integers(4, 10)
    return np.clip(rng.uniform(10, 245, (colors, 1)) + tint + rng.normal(0, rng.uniform(5, 55), (colors, 3)), 0, 255)


def _jitter(rng: Generator, colors: np.ndarray) -> tuple[int, ...]:
    shade = rng.uniform(0.7, 1.2)
    return tuple(np.clip(rng.choice(colors) * shade + rng.normal(0, 6, 3), 0, 255).astype(int).tolist())


def _matter(rng: Generator) -> tuple[int, ...]:
    return int(255 * rng.random() ** 3), *rng.integers(0, 256, 2).tolist()


def _power_law_radii(rng: Generator) -> np.ndarray:
    # Density r^-3 looks alike at every scale but would take thousands of shapes to cover the picture; r^-2 covers it
    # with hundreds. Its distribution function is inverted here.
    smallest, largest = 1 / SMALLEST_RADIUS, 1 / LARGEST_RADIUS
    radii = 1 / (smallest + rng.random(SHAPES) * (largest - smallest))
    # Small shapes of the back are all covered, so let the size tend, but not strictly, to fall from back to front.
    return radii[np.argsort(-np.log(radii) + rng.normal(0, 1, SHAPES))]


def _draw_shape(rng: Generator, brushes: Sequence, center: np.ndarray, radius: float, fills: Sequence) -> None:
    kind = rng.choice(3, p=(0.35, 0.45, 0.2))
    turn = rng.uniform(0, 2 * np.pi)
    if kind == 0:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        along, across = radius * np.cos(angles), radius * rng.uniform(0.4, 1) * np.sin(angles)
    elif kind == 1:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        reach = radius * rng.uniform(0.6, 1.2, len(angles))
        along, across = reach * np.cos(angles), reach * np.sin(angles)
    else:
        along = np.linspace(-2 * radius, 2 * radius, 12)
        across = radius * rng.normal(0, 0.5) * (along / (2 * radius)) ** 2 + radius * 0.2 * np.sin(along / radius)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    outline = center + np.stack([along, across], 1) @ rotation
    points = [tuple(point) for point in outline.tolist()]
    width = max(1, int(radius * rng.uniform(0.05, 0.3)))
    for brush, fill in zip(brushes, fills, strict=True):
        if kind == 2:
            brush.line(points, fill, width, joint="curve")
        else:
            brush.polygon(points, fill)


def _shade(rng: Generator, color: np.ndarray, surface: np.ndarray) -> np.ndarray:
    size = color.shape[0]
    texture, slope_x, slope_y = np.moveaxis(surface, 2, 0)
    x = np.linspace(-1, 1, size, dtype=np.float32)
    shading = (slope_x - 0.5) * x + (slope_y - 0.5) * x[:, None]
    noise = sum(_smooth_noise(rng, size, cells) / cells**0.5 for cells in (size, size // 2, size // 4, size // 8))
    light = 1 + 0.6 * shading + 0.15 * _smooth_noise(rng, size, 4) + 0.6 * texture * noise
    return np.clip(color * np.clip(light, 0.1, 2)[..., None], 0, 1)


def _under_a_sky(rng: Generator, picture: np.ndarray, colors: np.ndarray) -> np.ndarray:
    size = picture.shape[0]
    height = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    above, below = (np.clip(each / 255 + rng.uniform(0, 0.3), 0, 1) for each in rng.choice(colors, 2))
    clear = above + (below - above) * height[..., None]
    cover = np.clip(0.5 + rng.uniform(-0.6, 0.4) + rng.uniform(0.2, 0.8) * _clouds(rng, size), 0, 1)[..., None]
    sky = clear + cover * (rng.uniform(0.3, 1) - clear)
    horizon = rng.uniform(0.2, 0.9) + 0.1 * _clouds(rng, size)
    seen = np.clip((horizon - height) * size / 2, 0, 1)[..., None]  # two pixels of transition
    return (picture + seen * (sky - picture)).astype(np.float32)


def _shadow(rng: Generator, size: int) -> np.ndarray:
    edge, depth = rng.uniform(0.02, 0.5), rng.uniform(0.05, 0.4)
    lit = np.clip(0.5 + (_smooth_noise(rng, size, 3) + rng.uniform(-0.5, 1)) / edge, 0, 1)
    return (depth + (1 - depth) * lit)[..., None].astype(np.float32)


def _clouds(rng: Generator, size: int) -> np.ndarray:
    # Noise whose amplitude falls with frequency, as that of clouds and of photographs does (Field 1987).
    return sum(_smooth_noise(rng, size, cells) * 2 / cells for cells in (2, 4, 8, 16, 32, 64))


def _smooth_noise(rng: Generator, size: int, cells: int) -> np.ndarray:
    noise = rng.standard_normal((max(cells, 1), max(cells, 1)), np.float32)
    return np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))
