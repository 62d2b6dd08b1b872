"""Files that come with the project: beside the package once installed, at the top of a checkout before."""

from pathlib import Path

PLACES = (Path(__file__).parents[1], Path(__file__).parents[3])


def bundled_file(name: str) -> Path | None:
    """The path of a file given relative to the project's top, or None if there is no such file."""
    return next((place / name for place in PLACES if (place / name).is_file()), None)


def bundled_names(folder: str) -> list[str]:
    """Names, without suffix, of the safetensors files in a folder given relative to the project's top."""
    return sorted({path.stem for place in PLACES for path in (place / folder).glob("*.safetensors")})
