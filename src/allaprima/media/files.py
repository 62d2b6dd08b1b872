"""Files written whole or not at all, and which files are read."""

import contextlib
import functools
import os
import stat
import tempfile
import time
from pathlib import Path

from allaprima.errors import FileError

TEMPORARY = ".allaprima-"  # not the file's own name, which may be as long as names can be
LONGEST_NAME = 255  # bytes of a file's, on all usual file systems
STALE_SECONDS = 24 * 60 * 60
LARGEST_PICTURE = 256 << 20  # bytes


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder. Raises FileError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        delete_stale(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=TEMPORARY, delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(content)
                file.close()
                publish(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error


@functools.cache
def delete_stale(folder: Path) -> None:
    """Delete, once for each folder, the unfinished files of processes that were killed: others finish within a day."""
    for file in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > STALE_SECONDS:
                file.unlink()


def publish(temporary: Path, path: Path) -> None:
    """Give a file that is whole its final name. Raises OSError where that is not possible."""
    # Temporary files are private; give this one the permissions of any other.
    umask = os.umask(0)
    os.umask(umask)
    with contextlib.suppress(OSError):  # a file system without permissions, as a mounted Windows disk
        temporary.chmod(0o666 & ~umask)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())  # or a power cut could leave an empty file under the final name
    temporary.replace(path)


def check_writable(path: Path) -> None:
    """Raises FileError for a file that could not be written, before the work that it is to keep; makes nothing."""
    try:
        folder = next(folder for folder in path.parents if folder.exists())
        tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY).close()
    except OSError as error:
        raise FileError(f"cannot write in {path.parent}: {error.strerror}") from error
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise FileError(f"cannot write {path}: there is a folder of that name")
    except FileNotFoundError:
        pass
    except OSError as error:  # a name that is too long
        raise FileError(f"cannot write {path}: {error.strerror}") from error


def check_regular(path: Path) -> None:
    """Raises FileError for a device or a pipe. Raises OSError if there is nothing."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileError(f"{path} is not a picture but a device or a pipe: give a file")


def check_picture_file(path: Path) -> None:
    """Raises FileError as `check_regular` does, and for a file that is too large for a picture."""
    check_regular(path)
    if path.stat().st_size > LARGEST_PICTURE:
        raise FileError(f"{path} has more than {LARGEST_PICTURE >> 20} MB, the most that are read: save it smaller")
