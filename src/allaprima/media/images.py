"""Picture files to tensors and back: orientation, colour profile, alpha, 16 bit; written whole or not at all."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from allaprima.errors import FileError
from allaprima.media.files import check_picture_file, write_atomically

READ_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
# Nothing else is opened, whatever a file is called: Pillow would run PostScript through Ghostscript.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
WRITE_OPTIONS = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 92, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 92, "subsampling": 0},
    ".webp": {"format": "WEBP", "quality": 92},
}
SRGB = ImageCms.createProfile("sRGB")


class Picture(NamedTuple):
    """A picture as it should be seen: (3, H, W) float32, sRGB in [0, 1], and its transparency, (1, H, W), or None."""

    image: Tensor
    alpha: Tensor | None


def open_upright(source: Path | io.BytesIO, shortest: int = 0, name: str | None = None) -> Image.Image:
    """Open a file as an 8-bit RGB or RGBA picture in sRGB, turned upright by its EXIF orientation.

    Args:
        source: a path, or a file's content.
        shortest: if positive, a JPEG may be decoded at a fraction of its size, both sides at least this long.
        name: what an error calls the picture; its path if None.

    Raises:
        FileError: no such file, no permission, not a picture, truncated, or too large to be honest.
    """
    name = name or source
    try:
        if isinstance(source, Path):
            check_picture_file(source)
        with Image.open(source, formats=READ_FORMATS) as file:
            if shortest:
                file.draft("RGB", (shortest, shortest))
            file.load()
            return upright(file)
    except FileError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        problem = next((text for kind, text in PROBLEMS.items() if isinstance(error, kind)), None)
        raise FileError(f"{name} {problem() if problem else f'is damaged or not a picture: {error}'}") from error


PROBLEMS = {
    FileNotFoundError: lambda: "does not exist: check the path",
    IsADirectoryError: lambda: "is a folder: name a picture file in it",
    PermissionError: lambda: "cannot be read: no permission",
    MemoryError: lambda: "is too large for the memory: save it smaller",
    Image.UnidentifiedImageError: lambda: "is not a picture of a known kind: give a JPEG, PNG, WebP, TIFF, BMP or GIF",
    Image.DecompressionBombError: lambda: (
        f"has more than {2 * Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapixels, the most that are read: save it smaller"
    ),
}


def upright(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB or RGBA in sRGB, turned upright by its EXIF orientation."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if profile:
        image = _to_srgb(image, profile)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        # Grey of 16 bits, even in a file of 32; a floating-point picture has its white at 1, or else at 255.
        white = 65535 if values.dtype.kind != "f" else 1 if values.max(initial=0) <= 1 else 255
        image = Image.fromarray(np.clip(values / white * 255 + 0.5, 0, 255).astype(np.uint8))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode in ("RGB", "RGBA", "P", "PA"):
        opaque = image.convert("RGBA").convert("RGB")
    elif image.mode in ("L", "LA", "CMYK"):
        opaque = image.convert("L") if image.mode == "LA" else image
    else:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(opaque, source, SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one of another colour space
        return image
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


def as_floats(pixels: Tensor) -> Tensor:
    """Bytes, or floating-point numbers in [0, 1], as float32 in [0, 1]; of any shape."""
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()


def as_bytes(pixels: Tensor) -> Tensor:
    """Floating-point numbers in [0, 1] as bytes, rounded to nearest; of any shape."""
    return (pixels.detach().clamp(0, 1) * 255).round().byte()


def to_tensor(image: Image.Image) -> Tensor:
    """An 8-bit picture of C bands as (C, H, W) float32 in [0, 1]."""
    array = np.array(image, dtype=np.uint8)
    return as_floats(torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1))


def to_image(tensor: Tensor) -> Image.Image:
    """(3, H, W) or (4, H, W) in [0, 1] as an 8-bit RGB or RGBA picture, rounded to nearest."""
    return Image.fromarray(as_bytes(tensor).permute(1, 2, 0).cpu().numpy())


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 3, h, w), bytes or in [0, 1], at `size`, (height, width) in pixels, bicubic and without aliasing."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    enlarged = F.interpolate(images, tuple(size), mode="bicubic", antialias=True)
    return enlarged if images.dtype == torch.uint8 else enlarged.clamp(0, 1)


def at_short_side(images: Tensor, short: int) -> Tensor:
    """(B, 3, H, W), bytes or in [0, 1], with the short side brought down to `short` pixels; never enlarged."""
    factor = min(1, short / min(images.shape[-2:]))
    return resized(images, [max(1, round(side * factor)) for side in images.shape[-2:]])


def read_picture(source: Path) -> Picture:
    """Read a picture file, upright and in sRGB. Raises FileError as `open_upright` does."""
    pixels = to_tensor(open_upright(source))
    return Picture(pixels[:3].contiguous(), pixels[3:].contiguous() if pixels.shape[0] == 4 else None)


def read_photo(source: Path, short: int = 2**31) -> Tensor:
    """A picture file as (1, 3, H, W), its short side brought down to `short` pixels; see `read_picture`."""
    return at_short_side(read_picture(source).image[None], short)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as `write_image` does."""
    write_image(path, to_image(torch.cat([each for each in picture if each is not None])))


def write_image(path: Path, image: Image.Image) -> None:
    """Write a picture, the format by the suffix of `path`; an older file stays until this one is whole.

    Raises FileError as `encoded_image` does, or for a place that cannot be written to.
    """
    write_atomically(path, encoded_image(image, path.suffix))


def encoded_image(image: Image.Image, suffix: str) -> bytes:
    """An RGB or RGBA picture as a file's content, the format by the file's suffix; in JPEG it is laid on white.

    Raises FileError for an unknown suffix, or a picture too large for the format.
    """
    options = WRITE_OPTIONS.get(suffix.lower())
    if options is None:
        raise FileError(f"pictures are written as {', '.join(WRITE_OPTIONS)}: choose one of these suffixes")
    if options["format"] == "JPEG" and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    encoded = io.BytesIO()
    try:
        image.save(encoded, **options)
    except (OSError, ValueError) as error:  # the larger the picture, the fewer formats have room for it
        raise FileError(f"this picture cannot be written as {options['format']}: {error}") from error
    return encoded.getvalue()
