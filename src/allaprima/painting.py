"""Painting files: which are meant, where each result goes, and what is said of it."""

import glob
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from allaprima.data.photos import STARTER_VALIDATION, find_photos, packaged_photos
from allaprima.engines import engine_for, engine_note
from allaprima.errors import UserError
from allaprima.images import WRITE_OPTIONS, ImageError, Picture, read_picture, write_picture
from allaprima.memory import keep_freed_memory
from allaprima.network_file import chosen_network
from allaprima.settings import check_number, check_switch, check_whole
from allaprima.stylizer import Stylizer


def paint_files(config: DictConfig) -> list[Path]:
    """Paint the files that `configs/infer.yaml` describes; with several, those that cannot be read are passed over.

    Returns:
        The files written.

    Raises:
        UserError: an option that cannot be done, or, after all others are painted, files that could not be.
    """
    check_number(config, "strength", most=1)
    check_switch(config, "preserve_color")
    if config.size is not None:
        check_whole(config, "size", least=1)
    keep_freed_memory()
    inputs = find_inputs(config.input, Path(str(config.output)))
    stylizer = Stylizer.load(chosen_network(config), engine_for(len(inputs)))
    painting = stylizer.metadata["style"]
    outputs = place_outputs(inputs, str(config.output), painting["name"], config.suffix)
    written, failures = [], []
    for (photo, _), output in zip(tqdm(inputs, unit="picture", disable=len(inputs) == 1), outputs, strict=True):
        try:
            picture = read_picture(photo)
            pastiche = stylizer(picture.image, config.strength, config.preserve_color, config.size)
            write_picture(output, Picture(pastiche, picture.alpha))
        except ImageError as error:
            if len(inputs) == 1:
                raise
            tqdm.write(f"passed over: {error}", file=sys.stderr)
            failures.append(photo)
        else:
            written.append(output)
            tqdm.write(f"{photo.name} as {painting['title']} ({painting['artist']}): {output}", file=sys.stdout)
    print(engine_note(stylizer.engine, len(inputs)))
    if "worth" in stylizer.metadata:
        print(worth_note(stylizer.metadata["worth"]))
    if failures:
        raise UserError(
            f"{len(failures)} of {len(inputs)} pictures could not be painted, {failures[0]} the first of them"
        )
    return written


def worth_note(worth: dict[str, Any]) -> str:
    """What `scripts/compare.py` found of a network, in words."""
    counts = []
    for size, found in worth.items():
        numbers = {start: found[start] for start in ("noise", "photo") if start in found}
        more = {start: " or more" if number >= found["of"] else "" for start, number in numbers.items()}
        told = " and ".join(f"{number:g}{more[start]} from {start}" for start, number in numbers.items())
        counts.append(f"{told} at {size} pixels")
    return f"one pass of this network is worth so many iterations of the slow optimizer: {'; '.join(counts)}"


def find_inputs(given: str | Sequence[str] | None, output: Path) -> list[tuple[Path, Path]]:
    """The files meant by a path, a folder, a pattern or a list of these, each with its place below what was named.

    What stands in the folder `output` is no input when a folder around it is named, or a pattern that begins there.

    Raises:
        UserError: nothing is there.
    """
    if given is None:
        photo = packaged_photos(STARTER_VALIDATION)[0]
        return [(photo, Path(photo.name))]
    found: dict[Path, Path] = {}
    for name in map(str, given if OmegaConf.is_list(given) else [given]):
        if not name:
            raise UserError("input= is empty: name a file, a folder or a pattern")
        path = Path(name)
        if path.is_dir():
            folder, photos = path, find_photos(path)
        elif path.exists():
            folder, photos = path.parent, [path]
        else:
            folder = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts))
            # Path.glob refuses absolute patterns.
            photos = [path for path in map(Path, sorted(glob.glob(name, recursive=True))) if path.is_file()]  # noqa: PTH207
            if not photos:
                raise UserError(f"input={name}: there is no such file or folder, and nothing matches it as a pattern")
        if folder.resolve() in output.resolve().parents and path not in photos:
            photos = [photo for photo in photos if output.resolve() not in photo.resolve().parents]
        found |= {photo: photo.relative_to(folder) for photo in photos}
    if not found:
        raise UserError(f"input={given}: nothing is left to paint; name a file, a folder or a pattern")
    return list(found.items())


def place_outputs(inputs: Sequence[tuple[Path, Path]], output: str, style: str, suffix: str | None) -> list[Path]:
    """Where each result goes: to the file `output` if it is named like a picture, else to the folder `output`.

    A name with another suffix would be a file for one input, and is refused there.

    Raises:
        UserError: several results for one file, a result in the place of an input, or an unknown suffix.
    """
    if suffix is not None and suffix not in WRITE_OPTIONS:
        raise UserError(f"suffix={suffix}: take one of {', '.join(WRITE_OPTIONS)}")
    target = Path(output)
    if (target.suffix.lower() in WRITE_OPTIONS or (target.suffix and len(inputs) == 1)) and not target.is_dir():
        if len(inputs) > 1:
            raise UserError(f"output={output} is one file, but there are {len(inputs)} inputs: name a folder")
        places = [target]
    else:
        places = [
            target / below.with_name(f"{below.stem}_{style}{suffix or writable_suffix(below)}") for _, below in inputs
        ]
    originals = {photo.resolve() for photo, _ in inputs}
    taken: set[Path] = set()
    for place in places:
        if place.suffix.lower() not in WRITE_OPTIONS:
            raise UserError(f"output={place}: pictures are written as {', '.join(WRITE_OPTIONS)}")
        if place.resolve() in originals:
            raise UserError(f"output={place} is one of the inputs and would be overwritten: choose another place")
        if place in taken:
            raise UserError(f"two inputs would both become {place}: paint them into different folders")
        taken.add(place)
    return places


def writable_suffix(photo: Path) -> str:
    """The suffix of a photograph where results can have it, else .png."""
    return photo.suffix if photo.suffix.lower() in WRITE_OPTIONS else ".png"
