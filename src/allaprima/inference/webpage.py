"""Networks as a page that paints in the visitor's own browser: a folder that any static web server can serve."""

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from allaprima.errors import FileError, UserError
from allaprima.inference.engines import onnx_bytes
from allaprima.inference.exporters import write_codes
from allaprima.inference.thumbnails import sample_photo, thumbnail
from allaprima.media.download import download
from allaprima.media.files import write_atomically
from allaprima.media.images import to_image, write_image
from allaprima.networks.base import TransformationNetwork
from allaprima.networks.metadata import Metadata

VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# WebAssembly with threads and SIMD, 14 MB; and what can use WebGPU, 27 MB, which a browser without it does not load.
RUNTIME = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
PAGE = ("index.html", "app.js", "isolate.js")
DOWNLOAD_SECONDS = 600


def write_page(folder: Path, networks: Mapping[str, tuple[TransformationNetwork, Metadata]]) -> Path:
    """Write the page, the networks that it offers, by name, with their codes, and the runtime; return the folder.

    Raises UserError where the runtime cannot be downloaded, or is another than this page was made for.
    """
    package = runtime_package()
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name in RUNTIME:
            content = archive.extractfile(f"package/dist/{name}").read()
            write_atomically(folder / "ort" / name, content)
            # A third of the size, for servers that send such files in place of the others.
            write_atomically(folder / "ort" / f"{name}.gz", gzip.compress(content, mtime=0))
    for name in PAGE:
        write_atomically(folder / name, files("allaprima.inference").joinpath("web", name).read_bytes())
    write_image(folder / "sample.jpg", to_image(sample_photo()[0]))
    offered = []
    for name, (network, metadata) in networks.items():
        network.eval().requires_grad_(False)
        only = network.code() if network.codes.shape[:2] == (1, 1) else None  # folded in it is faster
        write_atomically(folder / "networks" / f"{name}.onnx", onnx_bytes(network, only))
        write_codes(folder / "networks" / f"{name}.json", network)
        for painting in metadata.paintings:
            code = network.code(painting.name if len(metadata.paintings) > 1 else None)
            write_image(folder / "thumbnails" / f"{painting.name}.jpg", thumbnail(network, code))
            offered.append({"name": painting.name, "title": str(painting), "network": name, "levels": network.levels})
    offered.sort(key=lambda painting: painting["title"])
    write_atomically(folder / "paintings.json", json.dumps(offered).encode())
    return folder


def runtime_package() -> bytes:
    """ONNX Runtime for browsers as npm has it, downloaded once. Raises UserError where it cannot be had."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "allaprima" / Path(ADDRESS).name
    if kept.is_file() and genuine(content := kept.read_bytes()):
        return content
    try:
        content = download(ADDRESS, DOWNLOAD_SECONDS)
    except FileError as error:
        raise UserError(f"cannot download {ADDRESS}: connect to the internet once, or put it at {kept}") from error
    if not genuine(content):
        raise UserError(f"{ADDRESS} is not the file that this page was made for: nothing is written")
    write_atomically(kept, content)
    return content


def genuine(content: bytes) -> bool:
    """Whether a file is the one whose hash is known."""
    return base64.b64encode(hashlib.sha512(content).digest()).decode() == SHA512
