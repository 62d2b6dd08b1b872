"""Mistakes that a user can mend: one line that says what is wrong and what to do, exit status 2."""


class UserError(Exception):
    """Raised with one line that says what is wrong and what to do. Commands print it and exit with status 2."""


class FileError(UserError):
    """A file that is not there, damaged, of another kind, or cannot be written; or a download that failed."""
