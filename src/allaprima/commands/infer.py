"""Painting pictures and videos: which are meant, where each result goes, and what is said of it."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from omegaconf import DictConfig
from pydantic import BeforeValidator
from tqdm import tqdm

from allaprima.commands.groups import StyleSettings
from allaprima.commands.paths import chosen_network, find_inputs, is_video, place_outputs
from allaprima.commands.settings import Settings, Share, Text, Whole, Words, listed
from allaprima.errors import ImageError, UserError
from allaprima.hardware import chosen_device, keep_freed_memory
from allaprima.inference.engines import engine_for, engine_note, fastest_engine
from allaprima.inference.stream import ahead, behind
from allaprima.inference.stylizer import Stylizer
from allaprima.media.files import check_writable
from allaprima.media.images import Picture, read_picture, write_picture
from allaprima.media.recording import Recording
from allaprima.media.video import Frame, Video


class InferSettings(Settings):
    """`configs/infer.yaml`."""

    style: StyleSettings
    model: Text | None
    input: Annotated[list[Words], BeforeValidator(listed)] | None
    output: Text
    suffix: Text | None
    strength: Share
    preserve_color: bool
    size: Whole | None
    fast: bool
    engine: Text
    device: Text

    def options(self) -> dict[str, Any]:
        """Of a call of the stylizer."""
        return {"strength": self.strength, "preserve_color": self.preserve_color, "size": self.size}


def paint_files(config: DictConfig) -> list[Path]:
    """Paint the files that `configs/infer.yaml` describes; with several, those that cannot be read are passed over.

    Returns:
        The files written.

    Raises:
        UserError: an option that cannot be done, or, after all others are painted, files that could not be.
    """
    settings = InferSettings.read(config)
    keep_freed_memory()
    inputs = find_inputs(settings.input, Path(settings.output))
    stylizer = ready_stylizer(settings, [path for path, _ in inputs])
    painting = stylizer.metadata.style
    outputs = place_outputs(inputs, settings.output, painting.name, settings.suffix)
    if len(inputs) > 1:
        for folder in {output.parent for output in outputs}:
            check_writable(folder)  # before an hour of painting, not after it
    written, failures = [], []
    for (source, _), output in zip(tqdm(inputs, unit="file", disable=len(inputs) == 1), outputs, strict=True):
        paint = paint_clip if is_video(source) else paint_picture
        try:
            seconds = paint(stylizer, source, output, settings.options())
        except ImageError as error:
            if len(inputs) == 1:
                raise
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            failures.append(source)
        else:
            written.append(output)
            tqdm.write(f"{source.name} as {painting}: {output}, in {seconds:.2g} s", file=sys.stdout)
    print(engine_note(stylizer.engine, len(inputs)))
    if stylizer.metadata.equivalent_iterations:
        print(iterations_note(stylizer.metadata.equivalent_iterations))
    if failures:
        raise UserError(f"{len(failures)} of {len(inputs)} files could not be painted, {failures[0]} the first of them")
    return written


def ready_stylizer(settings: InferSettings, inputs: Sequence[Path]) -> Stylizer:
    """The network that is meant, with the engine that is done first with so many pictures.

    Raises:
        UserError: there is no such network, engine or device.
    """
    engine = settings.engine
    if engine == "auto" and chosen_device(settings.device) == "cpu":
        engine = fastest_engine() if any(map(is_video, inputs)) else engine_for(len(inputs))
    return Stylizer.load(chosen_network(settings, settings.fast), settings.style.name, engine, settings.device)


def paint_picture(stylizer: Stylizer, photo: Path, output: Path, options: Mapping[str, Any]) -> float:
    """Paint one picture file as `Stylizer` does; return the seconds that it took, reading and writing included.

    Raises:
        ImageError: it cannot be read or written, or is too large for the memory.
    """
    started = time.monotonic()
    picture = read_picture(photo)
    try:
        pastiche = stylizer(picture.image, **options)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):  # PyTorch has no kind of its own for it
            raise
        raise ImageError(f"{photo} is too large for the memory: give a smaller size=, as size=1024") from error
    write_picture(output, Picture(pastiche, picture.alpha))
    return time.monotonic() - started


def paint_clip(stylizer: Stylizer, clip: Path, output: Path, options: Mapping[str, Any]) -> float:
    """Paint every frame of a video file; return the seconds that it took, reading and writing included.

    Interrupted, it leaves the frames painted so far, as a video that can be played.

    Raises:
        ImageError: it cannot be read or written.
    """
    started = time.monotonic()
    video = Video(clip)
    recording = Recording(output, video)
    frames = ahead(video.frames())
    painted = (Frame(stylizer(frame.pixels, **options), frame.time) for frame in frames)
    try:
        with tqdm(total=video.count, unit="frame") as progress:
            for _ in behind(recording.write, painted):
                progress.update()
            if not progress.n:
                raise ImageError(f"{clip} has no frames")
    except KeyboardInterrupt:
        if progress.n:
            recording.finish()
            print(f"interrupted: {output} has what was painted so far")
        else:
            recording.discard()
        raise
    except BaseException:
        recording.discard()
        raise
    finally:
        frames.close()  # which waits for the thread that reads
        video.close()
    recording.finish()
    return time.monotonic() - started


def iterations_note(equivalent: Mapping[str, Mapping[str, float]]) -> str:
    """What `scripts/compare.py` found of a network, in words."""
    counts = []
    for size, found in equivalent.items():
        numbers = {start: found[start] for start in ("noise", "photo") if start in found}
        more = {start: " or more" if number >= found["of"] else "" for start, number in numbers.items()}
        told = " and ".join(f"{number:g}{more[start]} from {start}" for start, number in numbers.items())
        counts.append(f"{told} at {size} pixels")
    return f"one pass of this network is worth, in iterations of the slow optimizer, {'; '.join(counts)}"
