"""Files: written whole or not at all, fetched from a path or a web address."""

import http.client
import os
import tempfile
import urllib.request
from pathlib import Path

from allaprima.errors import ImageError

DOWNLOAD_SECONDS = 30


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, making its folder. Raises ImageError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(content)
                # NamedTemporaryFile makes files private; give this one the permissions of any other.
                umask = os.umask(0)
                os.umask(umask)
                os.fchmod(file.fileno(), 0o666 & ~umask)
                file.close()
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror}") from error


def on_the_web(source: str) -> bool:
    """Whether a picture is named by its web address, not by its path."""
    return source.startswith(("http://", "https://"))


def fetch_picture(source: str) -> bytes:
    """The content of a picture file at a path or web address. Raises ImageError if it cannot be had."""
    if not on_the_web(source):
        try:
            return Path(source).expanduser().read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {source}: {error.strerror}") from error
        except RuntimeError as error:  # a tilde before the name of nobody
            raise ImageError(f"cannot read {source}: {error}") from error
    try:
        request = urllib.request.Request(source, headers={"User-Agent": "allaprima (style transfer)"})
        with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS) as response:
            page, content = response.headers.get_content_type() == "text/html", response.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ImageError(
            f"cannot download {source} ({reason}): check the address, or save the picture and give its path"
        ) from error
    if page:
        raise ImageError(f"{source} is a web page: give the address of the picture itself")
    return content
