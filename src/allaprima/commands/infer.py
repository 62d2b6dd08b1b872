"""Painting pictures and videos: which are meant, where each result goes, and what is said of it."""

import contextlib
import io
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from omegaconf import DictConfig
from pydantic import BeforeValidator, Field
from tqdm import tqdm

from allaprima.commands.network_choice import NetworkChoice
from allaprima.errors import FileError, UserError, visible
from allaprima.hardware import chosen_device, keep_freed_memory
from allaprima.inference.brush import AUTO, BRUSHES
from allaprima.inference.clip import paint_clip
from allaprima.inference.engines import MANY, engine_for, faster_note
from allaprima.inference.live import paint_camera
from allaprima.inference.places import Places
from allaprima.inference.stylizer import LARGEST_WHOLE, Stylizer
from allaprima.limits import AnyText, PositiveInt, Text, UnitInterval, number_or
from allaprima.losses.style import ALL, chosen_styles
from allaprima.media.camera import camera_number
from allaprima.media.files import LARGEST_PICTURE, check_writable, write_atomically
from allaprima.media.images import check_encodable, encoded_image, open_upright, read_photo, write_image
from allaprima.media.inputs import STANDARD, find_inputs
from allaprima.media.outputs import place_outputs, place_sheets, recorded_file
from allaprima.media.video import is_video
from allaprima.networks.base import BOLDEST

SHEET_SIDE = 320  # pixels
FRAME_SIZE = 1024  # pixels on the short side of videos and cameras, at most
COLUMNS = 4  # of a sheet


class InferSettings(NetworkChoice):
    """`configs/infer.yaml`."""

    input: Annotated[list[AnyText], BeforeValidator(lambda value: value if isinstance(value, list) else [value])] | None
    output: Text
    suffix: Text | None
    strength: UnitInterval
    preserve_color: bool
    boldness: Annotated[float | str | None, number_or("a picture of it", BOLDEST)]
    mask: Text | None
    faces: Literal["calm"] | None
    blend: Literal["even", "across", "down"]
    size: PositiveInt | None
    brush: Annotated[float | str, number_or(AUTO, BRUSHES[1], AUTO.__eq__, BRUSHES[0])]
    smooth: Annotated[float, Field(ge=0, le=0.95)]
    fast: bool
    engine: Text
    device: Text
    as_json: bool = Field(alias="json")

    def options(self) -> dict[str, Any]:
        """Of the stylizer's `paint`, for a picture."""
        return self.model_dump(include={"strength", "preserve_color", "size", "brush", "blend"})

    def frame_options(self) -> dict[str, Any]:
        """The same for frames, which have to be fast."""
        return self.options() | {
            "size": self.size or FRAME_SIZE,
            "brush": 1.0 if self.brush == AUTO else self.brush,
        }

    def places(self, source: Path) -> Places:
        """Of the stylizer's `paint`, what is by place and by frame."""
        return Places(source, {"boldness": self.boldness, "mask": self.mask}, self.faces)

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
    replaced: bool  # whether there was a file of that name


def paint_files(config: DictConfig) -> list[Path]:
    """Paint the files that `configs/infer.yaml` describes, passing over what cannot be read; the files written."""
    settings = InferSettings.read(config)
    keep_freed_memory()
    every_style = settings.style.name == ALL
    if (camera := camera_number(settings.input)) is not None:
        if every_style:
            raise UserError("style=all paints pictures and videos: name one painting for a camera")
        return paint_live(settings, camera)
    inputs = find_inputs(settings.input, Path(settings.output))
    pictures = MANY if any(is_video(path) for path, _ in inputs) else len(inputs)
    results: list[Result] = []
    failures: list[Path] = []
    for name in chosen_styles(settings.style.name):
        stylizer = load_stylizer(settings, name, pictures)
        outputs = place_outputs(inputs, settings.output, stylizer.painting.name, settings.suffix)
        if every_style and (outputs[0] == Path(settings.output) or inputs[0][0] == STANDARD):
            raise UserError("style=all gives many pictures: name a file or a folder to paint, and a folder for output=")
        places = place_sheets(inputs, outputs) if every_style else {}
        painted, failed = paint_all(stylizer, [path for path, _ in inputs], outputs, settings)
        results += painted
        failures += failed
    sheets = write_sheets(results, places)
    print_results(settings, results, sheets, stylizer, pictures)
    if failures:
        total = len(results) + len(failures)
        raise UserError(f"{len(failures)} of {total} files could not be painted, {failures[0]} the first of them")
    return [Path(result.output) for result in results] + sheets


def load_stylizer(settings: InferSettings, style: str, pictures: int) -> Stylizer:
    """The network that is meant, with the engine that is done first with that many pictures."""
    engine = settings.engine
    if engine == "auto" and chosen_device(settings.device) == "cpu":
        engine = engine_for(pictures)
    file = settings.network_file(style, settings.fast)
    return Stylizer.load(file, settings.style.shares or style, engine, settings.device)


def paint_live(settings: InferSettings, camera: int) -> list[Path]:
    """Paint a camera; the file that it was recorded to, if any."""
    output = recorded_file(settings.output)
    stylizer = load_stylizer(settings, settings.style.name, MANY)
    frames = paint_camera(
        stylizer, camera, output, settings.smooth, settings.places(Path(f"camera {camera}")), **settings.frame_options()
    )
    print(f"{frames} frames of camera {camera} as {stylizer.painting}" + (f": {output}" if output else ""))
    return [output] if output else []


def paint_all(
    stylizer: Stylizer, inputs: Sequence[Path], outputs: Sequence[Path], settings: InferSettings
) -> tuple[list[Result], list[Path]]:
    """Paint each input to its output; what was painted, and inputs that could not be, but for the only one."""
    for output in {output.parent: output for output in outputs if output != STANDARD}.values():
        check_writable(output)  # before an hour of painting, not after it
    results: list[Result] = []
    failures: list[Path] = []
    for source, output in zip(tqdm(inputs, unit="file", disable=len(inputs) == 1), outputs, strict=True):
        try:
            with enough_memory(source):
                results.append(paint_file(stylizer, source, output, settings))
        except FileError as error:
            if len(inputs) == 1:
                raise
            tqdm.write(visible(f"passed over: {error}"), file=sys.stderr)
            failures.append(source)
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


def paint_file(stylizer: Stylizer, source: Path, output: Path, settings: InferSettings) -> Result:
    """Paint a picture or a video, and say so. Raises FileError if it cannot be read or written."""
    started = time.monotonic()
    painting = stylizer.painting
    places = settings.places(source)
    replaced = output.exists()
    if is_video(source):
        pixels, engine = paint_clip(stylizer, source, output, settings.smooth, places, **settings.frame_options())
    else:
        if source == STANDARD:
            content = sys.stdin.buffer.read(LARGEST_PICTURE + 1)
            if len(content) > LARGEST_PICTURE:
                raise FileError(f"standard input has more than {LARGEST_PICTURE >> 20} MB: give a smaller picture")
            image = open_upright(io.BytesIO(content), name="standard input")
        else:
            image = open_upright(source)
        suffix = (settings.suffix or ".png") if output == STANDARD else output.suffix
        check_encodable(image.size, suffix)
        if settings.size is None and image.width * image.height > LARGEST_WHOLE and not settings.quiet():
            megapixels = two_digits(image.width * image.height / 1e6)
            tqdm.write(f"{visible(source.name)}: {megapixels} megapixels at full size; size=1024 is done sooner")
        painted, engine = stylizer.paint(image, **settings.options(), **places())
        pixels = painted.width * painted.height
        if output == STANDARD:
            sys.stdout.buffer.write(encoded_image(painted, suffix))
        else:
            write_image(output, painted)
    seconds = time.monotonic() - started
    if not settings.quiet():
        speed = f"in {two_digits(seconds)} s, {two_digits(pixels / seconds / 1e6)} megapixels a second"
        older = " (an older one is replaced)" if replaced else ""
        tqdm.write(visible(f"{source.name} as {painting}: {output}{older}, {speed}"), file=sys.stdout)
    return Result(str(source), str(output), painting.name, engine, pixels, round(seconds, 3), replaced)


def two_digits(number: float) -> str:
    """A number with two digits that count, and never with an exponent."""
    return np.format_float_positional(number, precision=2, unique=False, fractional=False, trim="-")


def write_sheets(results: Sequence[Result], places: Mapping[str, Path]) -> list[Path]:
    """A sheet for every photograph that has a place for one: itself and its stylized images, with their names."""
    from allaprima.evaluation.figures import contact_sheet, encoded  # matplotlib, a second that others need not wait

    sheets = []
    for source, painted in itertools.groupby(sorted(results), lambda result: result.input):
        if source in places:
            files = {"photograph": source} | {result.style: result.output for result in painted}
            pictures = {name: read_photo(Path(path), SHEET_SIDE) for name, path in files.items()}
            write_atomically(places[source], encoded(contact_sheet(pictures, COLUMNS), 110, "jpeg"))
            sheets.append(places[source])
    return sheets


def print_results(
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
    if stylizer.metadata.equivalent_iterations and settings.style.name != ALL:
        print(iterations_note(stylizer.metadata.equivalent_iterations))


def iterations_note(equivalent: Mapping[str, Mapping[str, float]]) -> str:
    """What the comparison with the optimizer found of a network, in words."""
    counts = []
    for size, found in equivalent.items():
        numbers = {start: found[start] for start in ("noise", "photo") if start in found}
        more = {start: " or more" if number >= found.get("of", math.inf) else "" for start, number in numbers.items()}
        words = " and ".join(f"{number:g}{more[start]} from {start}" for start, number in numbers.items())
        counts.append(f"{words} at {size} pixels")
    return f"one pass of this network is as good as these iterations of the slow optimizer: {'; '.join(counts)}"
