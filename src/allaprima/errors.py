"""Mistakes that a user can mend: one line that says what is wrong and what to do, exit status 2."""

import difflib
from collections.abc import Collection


class UserError(Exception):
    """Raised with one line that says what is wrong and what to do. Commands print it and exit with status 2."""


class FileError(UserError):
    """A file that is not there, damaged, of another kind, or cannot be written; or a download that failed."""


def choice_advice(name: str, names: Collection[str]) -> str:
    """What to do about a name that is not among those to choose from: the nearest of them, and all."""
    nearest = difflib.get_close_matches(name.lower(), names, n=1)
    return "".join(f"did you mean {each}? " for each in nearest) + f"take one of {', '.join(names)}"


def visible(text: str) -> str:
    """A text without signs that a terminal would obey, which names of files may have."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
