import numpy as np
from PIL import Image

from allaprima.data.leaves import draw_leaves
from allaprima.media.bundled import STARTER_VALIDATION, packaged_photos


def test_leaves():
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
