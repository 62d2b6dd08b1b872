"""Files: written whole or not at all, fetched from a path or a web address."""

import contextlib
import functools
import http.client
import os
import stat
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from allaprima.errors import FileError

DOWNLOAD_SECONDS = 30
TEMPORARY = ".allaprima-"  # not the file's own name, which may be as long as names can be
STALE_SECONDS = 24 * 60 * 60
LARGEST_PICTURE = 256 << 20  # bytes


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder. Raises FileError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
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
def sweep(folder: Path) -> None:
    """Delete, once, what processes that were killed have left of files not finished: others finish within a day."""
    for file in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > STALE_SECONDS:
                file.unlink()


def publish(temporary: Path, path: Path) -> None:
    """Give a file that is whole its final name. Raises OSError where that is not possible."""
    # Temporary files are private; give this one the permissions of any other.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())  # or a power cut could leave an empty file under the final name
    temporary.replace(path)


def check_writable(folder: Path) -> None:
    """Make a folder, if need be, and write in it. Raises FileError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder, prefix=TEMPORARY).close()
    except OSError as error:
        raise FileError(f"cannot write in {folder}: {error.strerror}") from error


def on_the_web(source: str) -> bool:
    """Whether a picture is named by its web address, not by its path."""
    return source.startswith(("http://", "https://"))


def without_secrets(source: str) -> str:
    """A web address without its query and user, which may be secrets: files that name it are shared."""
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def fetch_picture(source: str) -> bytes:
    """The content of a picture file at a path or web address.

    Raises:
        FileError: it cannot be had, is larger than `LARGEST_PICTURE`, or takes longer than `DOWNLOAD_SECONDS`.
    """
    if on_the_web(source):
        return download(source, DOWNLOAD_SECONDS)
    try:
        path = Path(source).expanduser()
        check_regular(path)
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {source}: {error.strerror}") from error
    except RuntimeError as error:  # a tilde before the name of nobody
        raise FileError(f"cannot read {source}: {error}") from error


def check_regular(path: Path) -> None:
    """Raises FileError for what `check_file` refuses, and for a file that is too large for a picture.

    Raises OSError if there is nothing.
    """
    check_file(path)
    if path.stat().st_size > LARGEST_PICTURE:
        raise FileError(f"{path} has more than {LARGEST_PICTURE >> 20} MB, the most that are read: save it smaller")


def check_file(path: Path) -> None:
    """Raises FileError for what is no ordinary file, a device or a pipe. Raises OSError if there is nothing."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileError(f"{path} is not a picture but a device or a pipe: give a file")


def download(source: str, seconds: float) -> bytes:
    """What is at a web address.

    Raises:
        FileError: it cannot be had, is a page, is larger than `LARGEST_PICTURE`, or takes longer than so many seconds.
    """
    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        request = urllib.request.Request(source, headers={"User-Agent": "allaprima (style transfer)"})
        with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS) as response:
            if response.headers.get_content_type() == "text/html":
                raise FileError(f"{source} is a web page: give the address of the picture itself")
            while piece := response.read1(1 << 16):
                content += piece
                if len(content) > LARGEST_PICTURE:
                    raise FileError(f"{source} has more than {LARGEST_PICTURE >> 20} MB: give a smaller picture")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"more than {seconds} s")
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise FileError(
            f"cannot download {source} ({reason}): check the address, or save the picture and give its path"
        ) from error
    return bytes(content)
