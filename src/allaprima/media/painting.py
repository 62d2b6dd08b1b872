"""A painting: what is said of it, wherever it goes, and whether two are the same."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def check_file_name(name: str) -> str:
    """The name itself. Raises ValueError where it could not be a file's: networks and pictures are called so."""
    if Path(name).name != name or name in ("", ".."):
        raise ValueError("give a name that is no path")
    return name


FileName = Annotated[str, AfterValidator(check_file_name)]


@dataclass(frozen=True, kw_only=True)
class Painting:
    """What is known of a painting."""

    name: FileName  # what its network and its pictures are called
    title: str
    artist: str
    year: str
    source: str  # a public address or a file's name
    sha256: str  # of the picture file it was read from, in hexadecimal

    def same_as(self, other: "Painting") -> bool:
        """Whether both were read from the same picture file, whatever is said of it."""
        return self.sha256 == other.sha256

    def __str__(self) -> str:
        return f"{self.title} ({self.artist})" if self.artist else self.title
