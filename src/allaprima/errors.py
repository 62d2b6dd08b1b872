"""Mistakes that a user can mend: one line that says what is wrong and what to do, exit status 2."""

import re
import shlex


class UserError(Exception):
    """Raised with one line that says what is wrong and what to do. Commands print it and exit with status 2."""


class FileError(UserError):
    """A file that is not there, not a picture, damaged, or cannot be written."""


def typed(name: str, value: object) -> str:
    """A setting as it is typed in a shell: what is more than plain letters and digits needs quotes within quotes."""
    plain = re.fullmatch(r"[\w./:-]+", str(value), re.ASCII)
    return f"{name}={value}" if plain else shlex.quote(f'{name}="{value}"')
