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
from allaprima.media.files import check_regular, write_atomically

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
    """A picture as it should be seen.

    Attributes:
        image: (3, H, W) float32, sRGB in [0, 1].
        alpha: (1, H, W) float32 in [0, 1], or None if the file has no transparency.
    """

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
            check_regular(source)
        with Image.open(source, formats=READ_FORMATS) as file:
            if shortest:
                file.draft("RGB", (shortest, shortest))
            file.load()
            return upright(file)
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"{name} does not exist: check the path") from error
    except IsADirectoryError as error:
        raise FileError(f"{name} is a folder: name a picture file in it") from error
    except PermissionError as error:
        raise FileError(f"{name} cannot be read: no permission") from error
    except Image.UnidentifiedImageError as error:
        raise FileError(f"{name} is not a picture of a known kind: give a JPEG, PNG, WebP, TIFF, BMP or GIF") from error
    except Image.DecompressionBombError as error:
        most = 2 * Image.MAX_IMAGE_PIXELS / 1e6
        raise FileError(
            f"{name} has more than {most:.0f} megapixels, the most that are read: save it smaller"
        ) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise FileError(f"{name} is damaged or not a picture: {error}") from error


def upright(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB or RGBA in sRGB, turned upright by its EXIF orientation."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if profile:
        image = _to_srgb(image, profile)
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    transparent = image.has_transparency_data
    mode = "RGBA" if transparent else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode in ("RGB", "RGBA", "P", "PA"):
        opaque = image.convert("RGBA").convert("RGB")
    elif image.mode in ("L", "LA"):
        opaque = image.convert("L")
    elif image.mode == "CMYK":
        opaque = image
    else:
        return image
    try:
        converted = ImageCms.profileToProfile(
            opaque, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB"
        )
    except (
        ImageCms.PyCMSError,
        OSError,
    ):  # a damaged profile, or one of another colour space: the pixels are all we have
        return image
    if image.has_transparency_data:
        converted.putalpha(image.convert("RGBA").getchannel("A"))
    return converted


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    # Grey of 16 bits, even in a file of 32; a floating-point picture has its white at 1, or else at 255.
    white = 65535 if values.dtype.kind != "f" else 1 if values.max(initial=0) <= 1 else 255
    return np.clip(values / white * 255 + 0.5, 0, 255).astype(np.uint8)


def to_tensor(image: Image.Image) -> Tensor:
    """An 8-bit picture of C bands as (C, H, W) float32 in [0, 1]."""
    array = np.array(image, dtype=np.uint8)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1).float() / 255


def to_image(tensor: Tensor) -> Image.Image:
    """(3, H, W) or (4, H, W) in [0, 1] as an 8-bit RGB or RGBA picture, rounded to nearest."""
    array = (tensor.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array)


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 3, h, w) in [0, 1] at `size`, (height, width) in pixels, bicubic and without aliasing."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images, tuple(size), mode="bicubic", antialias=True).clamp(0, 1)


def at_short_side(images: Tensor, short: int) -> Tensor:
    """(B, 3, H, W) in [0, 1] with the short side brought down to so many pixels; never enlarged."""
    factor = min(1, short / min(images.shape[-2:]))
    return resized(images, [max(1, round(side * factor)) for side in images.shape[-2:]])


def read_picture(source: Path) -> Picture:
    """Read a picture file, upright and in sRGB. Raises FileError as `open_upright` does."""
    pixels = to_tensor(open_upright(source))
    return Picture(pixels[:3].contiguous(), pixels[3:].contiguous() if pixels.shape[0] == 4 else None)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture, the format by the suffix of `path`; what stood there before stays until the new one is whole.

    Raises:
        FileError: as `encoded_image` does, or for a place that cannot be written to.
    """
    pixels = picture.image if picture.alpha is None else torch.cat([picture.image, picture.alpha])
    write_image(path, to_image(pixels))


def write_image(path: Path, image: Image.Image) -> None:
    """The same for an RGB or RGBA picture."""
    write_atomically(path, encoded_image(image, path.suffix))


def encoded_image(image: Image.Image, suffix: str) -> bytes:
    """An RGB or RGBA picture as a file's content, the format by the file's suffix.

    A JPEG has no transparency, so there the picture is laid on white.

    Raises:
        FileError: an unknown suffix, or a picture too large for the format.
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
