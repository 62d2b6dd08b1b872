"""COCO 2017 as published: checked on disk, and downloaded with resume and checksum."""

import hashlib
import http.client
import shutil
import urllib.error
import zipfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from allaprima.errors import UserError
from allaprima.media.download import download_file
from allaprima.media.inputs import find_photos


class Archive(NamedTuple):
    """One of COCO's zip files: its address below the server, its MD5, and the folder that it unpacks to."""

    address: str
    md5: str
    unpacks_to: str


ARCHIVES = (
    Archive("zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2", "train2017"),
    Archive("zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80", "val2017"),
)


def photos(root: Path) -> tuple[list[Path], list[Path]]:
    """Photographs of COCO's train2017 and val2017. Raises UserError if `root` lacks one of them."""
    for archive in ARCHIVES:
        path = root / archive.unpacks_to
        if not path.exists():
            raise UserError(f"{root} is not COCO 2017: {path} is missing; download it first")
    return find_photos(root / "train2017"), find_photos(root / "val2017")


def download(root: Path, server: str, archives: tuple[Archive, ...] = ARCHIVES) -> None:
    """Fetch and unpack what `root` lacks. Interrupted, it goes on where it stopped when called again.

    The archives' addresses are below `server`. Raises UserError where it, a checksum or the disk stands in the way.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            if (root / archive.unpacks_to).exists():
                continue
            path = root / Path(archive.address).name
            download_file(f"{server.rstrip('/')}/{archive.address}", path)
            with path.open("rb") as file:
                md5 = hashlib.file_digest(file, "md5").hexdigest()
            if md5 != archive.md5:
                path.unlink()
                raise UserError(f"{path} came damaged (MD5 {md5}, not {archive.md5}) and was deleted: run this again")
            _unpack(path, root)
    except urllib.error.HTTPError as error:
        raise UserError(f"the server answers {error.code} for {error.url}: check the address, server=") from error
    except urllib.error.URLError as error:
        raise UserError(f"cannot reach {server} ({error.reason}): check the connection, then run this again") from error
    except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
        raise UserError(f"the connection to {server} broke ({error}): run this again to go on from there") from error
    except ValueError as error:
        raise UserError(f"server={server} is not a web address: give one that begins with http://") from error
    except OSError as error:
        raise UserError(f"cannot write below {root}: {error.strerror}") from error


def _unpack(path: Path, root: Path) -> None:
    # Unpacked beside its place and moved there whole: a folder that exists is a folder that is complete.
    unpacked = root / f".{path.stem}"
    with zipfile.ZipFile(path) as archive:
        for member in tqdm(archive.infolist(), desc=f"unpack {path.name}", unit="file"):
            archive.extract(member, unpacked)
    for entry in unpacked.iterdir():
        if (root / entry.name).exists():
            shutil.copytree(entry, root / entry.name, dirs_exist_ok=True)
        else:
            entry.replace(root / entry.name)
    shutil.rmtree(unpacked)
    path.unlink()
