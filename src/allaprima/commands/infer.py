"""Painting pictures and videos: which are meant, where each result goes, and what is said of it."""

import contextlib
import io
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from omegaconf import DictConfig
from PIL import Image
from pydantic import BeforeValidator, Field
from tqdm import tqdm

from allaprima.commands.groups import StyleSettings
from allaprima.commands.paths import (
    ALL,
    STANDARD,
    camera_number,
    chosen_network,
    find_inputs,
    is_video,
    place_outputs,
    place_sheets,
    recorded_file,
)
from allaprima.commands.settings import Settings, Share, Smooth, Text, Whole, Words, listed
from allaprima.errors import FileError, UserError
from allaprima.hardware import chosen_device, keep_freed_memory
from allaprima.inference.clip import paint_clip
from allaprima.inference.engines import MANY, engine_for, faster_note
from allaprima.inference.live import paint_camera
from allaprima.inference.stylizer import BRUSHES, Stylizer
from allaprima.media.bundled import bundled_names
from allaprima.media.files import LARGEST_PICTURE, check_writable, write_atomically
from allaprima.media.images import at_short_side, encoded_image, open_upright, read_picture, write_image
from allaprima.networks.metadata import EquivalentIterations

SHEET_SIDE, COLUMNS = 320, 4


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
    brush: Annotated[float, Field(ge=BRUSHES[0], le=BRUSHES[1])]
    smooth: Smooth
    fast: bool
    engine: Text
    device: Text
    as_json: bool = Field(alias="json")

    def options(self) -> dict[str, Any]:
        """Of a call of the stylizer."""
        return {
            "strength": self.strength,
            "preserve_color": self.preserve_color,
            "size": self.size,
            "brush": self.brush,
        }

    def quiet(self) -> bool:
        """Whether standard output belongs to a program that reads it."""
        return self.as_json or self.output == str(STANDARD)


class Result(NamedTuple):
    """What became of one input."""

    input: str
    output: str
    style: str
    engine: str
    pixels: int  # of a video in all frames
    seconds: float


def paint_files(config: DictConfig) -> list[Path]:
    """Paint the files that `configs/infer.yaml` describes; with several, those that cannot be read are passed over.

    Returns:
        The files written.

    Raises:
        UserError: an option that cannot be done, or, after all others are painted, files that could not be.
    """
    settings = InferSettings.read(config)
    keep_freed_memory()
    everything = settings.style.name == ALL
    if (camera := camera_number(settings.input)) is not None:
        if everything:
            raise UserError("style=all paints pictures and videos: name one painting for a camera")
        return paint_live(settings, camera)
    inputs = find_inputs(settings.input, Path(settings.output))
    pictures = MANY if any(is_video(path) for path, _ in inputs) else len(inputs)
    results, failures = [], []
    for name in bundled_names("models/styles") if everything else [settings.style.name]:
        stylizer = ready_stylizer(settings, name, pictures)
        outputs = place_outputs(inputs, settings.output, stylizer.metadata.style.name, settings.suffix)
        if everything and (outputs[0] == Path(settings.output) or inputs[0][0] == STANDARD):
            raise UserError("style=all gives many pictures: name a file or a folder to paint, and a folder for output=")
        places = place_sheets(inputs, outputs) if everything else {}
        painted, failed = paint_all(stylizer, [path for path, _ in inputs], outputs, settings)
        results, failures = results + painted, failures + failed
    sheets = write_sheets(results, places)
    tell(settings, results, sheets, stylizer, pictures)
    if failures:
        total = len(results) + len(failures)
        raise UserError(f"{len(failures)} of {total} files could not be painted, {failures[0]} the first of them")
    return [Path(result.output) for result in results] + sheets


def paint_live(settings: InferSettings, camera: int) -> list[Path]:
    """Paint a camera; the file that it was recorded to, if any.

    Raises:
        UserError: no such camera, no screen, a file that cannot be written.
    """
    output = recorded_file(settings.output)
    stylizer = ready_stylizer(settings, settings.style.name, MANY)
    frames = paint_camera(stylizer, camera, output, settings.smooth, settings.options())
    print(f"{frames} frames of camera {camera} as {stylizer.metadata.style}" + (f": {output}" if output else ""))
    return [output] if output else []


def paint_all(
    stylizer: Stylizer, inputs: Sequence[Path], outputs: Sequence[Path], settings: InferSettings
) -> tuple[list[Result], list[Path]]:
    """Paint each input to its output; what was painted, and inputs that could not be.

    Raises:
        FileError: the only input could not be painted, or a folder cannot be written to.
    """
    if len(inputs) > 1:
        for folder in {output.parent for output in outputs}:
            check_writable(folder)  # before an hour of painting, not after it
    painting, results, failures = stylizer.metadata.style, [], []
    for source, output in zip(tqdm(inputs, unit="file", disable=len(inputs) == 1), outputs, strict=True):
        started = time.monotonic()
        try:
            with enough_memory(source):
                if is_video(source):
                    pixels = paint_clip(stylizer, source, output, settings.smooth, settings.options())
                else:
                    pixels = paint_picture(stylizer, source, output, settings)
        except FileError as error:
            if len(inputs) == 1:
                raise
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            failures.append(source)
        else:
            seconds = time.monotonic() - started
            result = Result(str(source), str(output), painting.name, stylizer.painted_by, pixels, round(seconds, 3))
            results.append(result)
            if not settings.quiet():
                speed = f"in {seconds:.2g} s, {pixels / seconds / 1e6:.2g} megapixels a second"
                tqdm.write(f"{source.name} as {painting}: {output}, {speed}", file=sys.stdout)
    return results, failures


@contextlib.contextmanager
def enough_memory(source: Path) -> Iterator[None]:
    """Raises FileError, as for any file that cannot be painted, where the memory is too small for it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):  # PyTorch has no kind of its own for it
            raise
        raise FileError(f"{source} is too large for the memory: give a smaller size=, as size=1024") from error


def tell(
    settings: InferSettings, results: Sequence[Result], sheets: Sequence[Path], stylizer: Stylizer, pictures: int
) -> None:
    """Say at the end what was done: in words, or as JSON, one object for each input and painting."""
    if settings.as_json:
        print(json.dumps([result._asdict() for result in results], indent=2))
    if settings.quiet():
        return
    for sheet in sheets:
        print(f"all of them on one sheet: {sheet}")
    computed = " and ".join(dict.fromkeys(result.engine for result in results))
    if computed:
        faster = faster_note(stylizer.engine, pictures) if stylizer.device == "cpu" else ""
        print(f"computed by {computed}{faster}")
    if stylizer.metadata.equivalent_iterations:
        print(iterations_note(stylizer.metadata.equivalent_iterations))


def write_sheets(results: Sequence[Result], places: Mapping[str, Path]) -> list[Path]:
    """A sheet for every photograph that has a place for one: itself and its stylized images, with their names."""
    from allaprima.evaluation.figures import encoded, picture_table  # matplotlib, a second that others need not wait

    sheets = []
    for source, painted in itertools.groupby(sorted(results), lambda result: result.input):
        if source in places:
            cells = [("photograph", Path(source))] + [(result.style, Path(result.output)) for result in painted]
            cells = [(name, at_short_side(read_picture(path).image[None], SHEET_SIDE)) for name, path in cells]
            rows = [("", dict(cells[first : first + COLUMNS])) for first in range(0, len(cells), COLUMNS)]
            sheets.append(places[source])
            write_atomically(sheets[-1], encoded(picture_table(rows), 110, "jpeg"))
    return sheets


def ready_stylizer(settings: InferSettings, style: str, pictures: int) -> Stylizer:
    """The network that is meant, with the engine that is done first with so many pictures.

    Raises:
        UserError: there is no such network, engine or device.
    """
    engine = settings.engine
    if engine == "auto" and chosen_device(settings.device) == "cpu":
        engine = engine_for(pictures)
    return Stylizer.load(chosen_network(settings, style, settings.fast), style, engine, settings.device)


def paint_picture(stylizer: Stylizer, photo: Path, output: Path, settings: InferSettings) -> int:
    """Paint one picture file as `Stylizer` does; how many pixels it has.

    Raises:
        FileError: it cannot be read or written, or is too large for the memory.
    """
    image = read_standard_input() if photo == STANDARD else open_upright(photo)
    painted = stylizer(image, **settings.options())
    if output == STANDARD:
        sys.stdout.buffer.write(encoded_image(painted, settings.suffix or ".png"))
    else:
        write_image(output, painted)
    return painted.width * painted.height


def read_standard_input() -> Image.Image:
    """The picture on standard input. Raises FileError if there is none."""
    content = sys.stdin.buffer.read(LARGEST_PICTURE + 1)
    if len(content) > LARGEST_PICTURE:
        raise FileError(f"standard input has more than {LARGEST_PICTURE >> 20} MB: give a smaller picture")
    return open_upright(io.BytesIO(content), name="standard input")


def iterations_note(equivalent: Mapping[str, EquivalentIterations]) -> str:
    """What `scripts/compare.py` found of a network, in words."""
    counts = []
    for size, found in equivalent.items():
        numbers = {start: found[start] for start in ("noise", "photo") if start in found}
        more = {start: " or more" if number >= found["of"] else "" for start, number in numbers.items()}
        told = " and ".join(f"{number:g}{more[start]} from {start}" for start, number in numbers.items())
        counts.append(f"{told} at {size} pixels")
    return f"one pass of this network is as good as these iterations of the slow optimizer: {'; '.join(counts)}"
