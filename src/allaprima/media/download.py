"""Files from the web: small ones into memory, large ones to a file, with resume."""

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tqdm import tqdm

from allaprima.errors import FileError
from allaprima.media import files

DOWNLOAD_SECONDS = 30
WAIT_SECONDS = 60  # for the next bytes
CHUNK = 1 << 20  # bytes
ERRORS = (OSError, ValueError, http.client.HTTPException)  # of a connection or an address


def on_the_web(source: str) -> bool:
    """Whether a picture is named by its web address, not by its path."""
    return source.startswith(("http://", "https://"))


def without_secrets(source: str) -> str:
    """A web address without its query and user, which may be secrets: files that name it are shared."""
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def open_address(address: str, headers: dict[str, str] | None = None) -> Any:
    """The answer of a server, to be read in a `with` block. Raises one of `ERRORS`."""
    headers = {"User-Agent": "allaprima (style transfer)"} | (headers or {})
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=WAIT_SECONDS)


def fetch_picture(source: str) -> bytes:
    """The content of a picture file at a path or web address. Raises FileError if it cannot be read or is too large."""
    if on_the_web(source):
        return download(source, DOWNLOAD_SECONDS)
    try:
        path = Path(source).expanduser()
        files.check_picture_file(path)
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {source}: {error.strerror}") from error
    except RuntimeError as error:  # a tilde before the name of nobody
        raise FileError(f"cannot read {source}: {error}") from error


def download(address: str, seconds: float) -> bytes:
    """What is at a web address. Raises FileError if nothing is, it is a page or too large, or it takes too long."""
    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        with open_address(address) as response:
            if response.headers.get_content_type() == "text/html":
                raise FileError(f"{address} is a web page: give the address of the picture itself")
            while piece := response.read1(1 << 16):
                content += piece
                if len(content) > files.LARGEST_PICTURE:
                    raise FileError(f"{address} has more than {files.LARGEST_PICTURE >> 20} MB: give a smaller picture")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"more than {seconds} s")
    except ERRORS as error:
        reason = getattr(error, "reason", error)
        raise FileError(
            f"cannot download {address} ({reason}): check the address, or save the picture and give its path"
        ) from error
    return bytes(content)


def download_file(address: str, path: Path) -> None:
    """Download to a file with a progress bar; interrupted, it goes on where it stopped. Raises one of `ERRORS`."""
    part = path.with_suffix(path.suffix + ".part")
    if path.exists():
        return
    have = part.stat().st_size if part.exists() else 0
    try:
        response = open_address(address, {"Range": f"bytes={have}-"})
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to send: the part is the whole
            raise
        part.replace(path)
        return
    with response:
        have = have if response.status == 206 else 0
        length = response.headers["Content-Length"]
        total = int(length) + have if length else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=path.name)
        with part.open("ab" if have else "wb") as file, bar:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.stat().st_size < total:
        raise ConnectionError(f"{part.stat().st_size} of {total} bytes came")
    part.replace(path)
