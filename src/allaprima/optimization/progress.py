"""The picture so far in its file, and an animation of all pictures on the way."""

import io
from pathlib import Path

from PIL import Image

from allaprima.media.files import write_atomically
from allaprima.media.images import MOST_PIXELS_A_SIDE, Picture, off_white, resized, to_image, write_picture
from allaprima.optimization.image import Iteration

FRAME_MILLISECONDS = 80
LAST_FRAME_MILLISECONDS = 2000
LONGEST_FRAME = MOST_PIXELS_A_SIDE["WEBP"]
MOST_FRAMES = 100


class ProgressRecorder:
    """Called with every iteration, it writes every `every`th picture, and at the end an animation beside it.

    That has as many frames, or fewer where there are too many.
    """

    def __init__(self, output: Path, every: int) -> None:
        self.output = output
        self.every = every
        self.frame_every = every
        self.animation = output.with_name(f"{output.stem}_progress.webp")
        self.frames: list[Image.Image] = []
        self.last: Iteration | None = None

    def __call__(self, iteration: Iteration) -> None:
        """Take note of an iteration."""
        self.last = iteration
        if iteration.number and iteration.number % self.every == 0:
            write_picture(self.output, Picture(iteration.picture[0], None))
        if iteration.number % self.frame_every == 0:
            self.frames.append(to_image(iteration.picture[0]))
        if len(self.frames) > MOST_FRAMES:
            del self.frames[1::2]
            self.frame_every *= 2

    def finish(self, photo: Picture) -> None:
        """Write the last picture, at the photograph's size and with its transparency, and the animation."""
        self.frames.append(to_image(self.last.picture[0]))
        pastiche = resized(self.last.picture, photo.image.shape[-2:])[0]
        pastiche = pastiche if photo.alpha is None else off_white(pastiche, photo.alpha)
        write_picture(self.output, Picture(pastiche, photo.alpha))
        encoded = io.BytesIO()
        # Pictures of earlier scales are enlarged to the last one's size, if WebP has room for it.
        last = self.frames[-1].size
        size = [round(side * min(1, LONGEST_FRAME / max(last))) for side in last]
        first, *others = [frame.resize(size, Image.Resampling.BICUBIC) for frame in self.frames]
        durations = [FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
        first.save(encoded, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=80)
        write_atomically(self.animation, encoded.getvalue())
