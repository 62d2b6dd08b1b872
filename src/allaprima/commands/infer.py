"""Painting files: which are meant, where each result goes, and what is said of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig
from pydantic import BeforeValidator
from tqdm import tqdm

from allaprima.commands.groups import StyleSettings
from allaprima.commands.paths import chosen_network, find_inputs, place_outputs
from allaprima.commands.settings import Settings, Share, Text, Whole, Words, listed
from allaprima.errors import ImageError, UserError
from allaprima.hardware import chosen_device, keep_freed_memory
from allaprima.inference.engines import engine_for, engine_note
from allaprima.inference.stylizer import Stylizer
from allaprima.media.files import check_writable
from allaprima.media.images import Picture, read_picture, write_picture


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
    engine: Text
    device: Text


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
    engine = settings.engine
    if engine == "auto" and chosen_device(settings.device) == "cpu":
        engine = engine_for(len(inputs))
    stylizer = Stylizer.load(chosen_network(settings), settings.style.name, engine, settings.device)
    painting = stylizer.metadata.style
    outputs = place_outputs(inputs, settings.output, painting.name, settings.suffix)
    if len(inputs) > 1:
        for folder in {output.parent for output in outputs}:
            check_writable(folder)  # before an hour of painting, not after it
    written, failures = [], []
    for (photo, _), output in zip(tqdm(inputs, unit="picture", disable=len(inputs) == 1), outputs, strict=True):
        try:
            paint_file(stylizer, photo, output, settings.strength, settings.preserve_color, settings.size)
        except ImageError as error:
            if len(inputs) == 1:
                raise
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            failures.append(photo)
        else:
            written.append(output)
            tqdm.write(f"{photo.name} as {painting}: {output}", file=sys.stdout)
    print(engine_note(stylizer.engine, len(inputs)))
    if stylizer.metadata.equivalent_iterations:
        print(iterations_note(stylizer.metadata.equivalent_iterations))
    if failures:
        raise UserError(
            f"{len(failures)} of {len(inputs)} pictures could not be painted, {failures[0]} the first of them"
        )
    return written


def paint_file(
    stylizer: Stylizer, photo: Path, output: Path, strength: float, preserve_color: bool, size: int | None
) -> None:
    """Paint one file as `Stylizer` does.

    Raises:
        ImageError: it cannot be read or written, or is too large for the memory.
    """
    picture = read_picture(photo)
    try:
        pastiche = stylizer(picture.image, strength, preserve_color, size)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):  # PyTorch has no kind of its own for it
            raise
        raise ImageError(f"{photo} is too large for the memory: give a smaller size=, as size=1024") from error
    write_picture(output, Picture(pastiche, picture.alpha))


def iterations_note(equivalent: Mapping[str, Mapping[str, float]]) -> str:
    """What `scripts/compare.py` found of a network, in words."""
    counts = []
    for size, found in equivalent.items():
        numbers = {start: found[start] for start in ("noise", "photo") if start in found}
        more = {start: " or more" if number >= found["of"] else "" for start, number in numbers.items()}
        told = " and ".join(f"{number:g}{more[start]} from {start}" for start, number in numbers.items())
        counts.append(f"{told} at {size} pixels")
    return f"one pass of this network is worth, in iterations of the slow optimizer, {'; '.join(counts)}"
