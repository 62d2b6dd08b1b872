"""Picture files to tensors and back: orientation, colour profile, alpha, 16 bit; written whole or not at all."""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, PngImagePlugin
from torch import Tensor

from allaprima.errors import FileError
from allaprima.media.files import check_picture_file, write_atomically
from allaprima.media.orientation import turned_upright

READ_SUFFIXES = {  # with Pillow's name of each format
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".bmp": "BMP",
    ".gif": "GIF",
}
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIC_ADVICE = "pip install 'allaprima[heic]'"
try:
    import pillow_heif
except ImportError:  # an extra
    pass
else:
    pillow_heif.register_heif_opener()
    READ_SUFFIXES |= dict.fromkeys(HEIC_SUFFIXES, "HEIF")
# Nothing else is opened, whatever a file is called: Pillow would run PostScript through Ghostscript.
READ_FORMATS = tuple(dict.fromkeys(READ_SUFFIXES.values()))
# Some programs keep all that they know of a picture in its text. Pillow takes a megabyte, lest it be a bomb.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
WRITE_OPTIONS = {
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 92, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 92, "subsampling": 0},
    ".webp": {"format": "WEBP", "quality": 92},
}
MOST_PIXELS_A_SIDE = {"JPEG": 65_535, "WEBP": 16_383}
SRGB = ImageCms.createProfile("sRGB")
LONGEST = 4  # times as long as high: a longer picture is worked on at as many pixels as this one has
STRIP = 1 << 20  # pixels that are computed at once, in floating point
LAB = ImageCms.createProfile("LAB")


class Picture(NamedTuple):
    """A picture as it should be seen: (3, H, W) float32, sRGB in [0, 1], and its transparency, (1, H, W), or None."""

    image: Tensor
    alpha: Tensor | None

    def on_white(self) -> Tensor:
        """The picture as it is seen on white, (3, H, W) float32."""
        return self.image if self.alpha is None else on_white(self.image, self.alpha)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd EXIF and many pixels, which do no harm here
            with Image.open(source, formats=READ_FORMATS) as file:
                if shortest:
                    file.draft("RGB", (shortest, shortest))
                file.load()
                return upright(file)
    except FileError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        problem = next((text for kind, text in PROBLEMS.items() if isinstance(error, kind)), DAMAGED)
        if problem == NOT_KNOWN and is_heic(source):
            problem = f"is HEIC: save it as JPEG, or {HEIC_ADVICE}"
        if problem == TOO_LARGE:
            problem = problem.format(2 * Image.MAX_IMAGE_PIXELS / 1e6)
        raise FileError(f"{name} {problem}") from error


DAMAGED = "is damaged or not a picture: if another program opens it, save it from there as PNG or JPEG"
NOT_KNOWN = "is not a picture of a known kind: give a JPEG, PNG, WebP, AVIF, TIFF, BMP or GIF"
TOO_LARGE = "has more than {:.0f} megapixels, the most that are read: save it smaller"
PROBLEMS = {
    FileNotFoundError: "does not exist: check the path",
    IsADirectoryError: "is a folder: name a picture file in it",
    PermissionError: "cannot be read: no permission",
    MemoryError: "is too large for the memory: save it smaller",
    Image.UnidentifiedImageError: NOT_KNOWN,
    Image.DecompressionBombError: TOO_LARGE,
}


def is_heic(source: Path | io.BytesIO) -> bool:
    """Whether a picture file, or its content, is HEIC and cannot be read without an extra."""
    if "HEIF" in READ_FORMATS:
        return False
    with io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:] in HEIC_BRANDS


def upright(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB or RGBA in sRGB, turned upright by its EXIF orientation; a new one."""
    profile = image.info.get("icc_profile")
    image = turned_upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        # Grey of 16 bits, even in a file of 32; a floating-point picture has its white at 1, or else at 255.
        white = 65535 if values.dtype.kind != "f" else 1 if values.max(initial=0) <= 1 else 255
        image = Image.fromarray(np.clip(values / white * 255 + 0.5, 0, 255).astype(np.uint8))
    if image.mode == "LAB":
        image = ImageCms.profileToProfile(image, LAB, SRGB, outputMode="RGB")
    elif profile:
        image = _to_srgb(image, profile)
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.info = {}  # what it says of turning and of colours is done
    return image


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


def on_white(image: Tensor, alpha: Tensor) -> Tensor:
    """What is seen of a picture, (3, H, W), on white through its transparency, (1, H, W); bytes or in [0, 1]."""
    seen = torch.empty_like(image)
    for strip, colors, opacity in strips(seen, image, alpha):
        put(strip, 1 - (1 - as_floats(colors)) * as_floats(opacity))
    return seen


def off_white(seen: Tensor, alpha: Tensor) -> Tensor:
    """The picture of which `seen` is what `on_white` makes, as far as there is one; both as there."""
    image = torch.empty_like(seen)
    for strip, colors, opacity in strips(image, seen, alpha):
        opacity = as_floats(opacity)
        colors = as_floats(colors)
        put(strip, torch.where(opacity > 0, 1 - (1 - colors) / opacity, colors).clamp(0, 1))
    return image


def strips(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Pictures of one size, (..., H, W), strip by strip: floating-point numbers of all at once take much memory."""
    rows = max(1, STRIP // images[0].shape[-1])
    return zip(*(image.split(rows, -2) for image in images), strict=True)


def put(pixels: Tensor, values: Tensor) -> None:
    """Overwrite pixels, bytes or in [0, 1], by floating-point numbers in [0, 1] of the same shape."""
    pixels.copy_(as_bytes(values) if pixels.dtype == torch.uint8 else values)


def flattened(image: Image.Image) -> Image.Image:
    """An 8-bit RGB or RGBA picture as RGB, laid on white."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


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


def short_side_size(size: Sequence[int], short: int, longest: float = math.inf) -> tuple[int, int]:
    """The size, (height, width), with the short side brought down to `short` pixels; never enlarged.

    One more than `longest` times as long as high gets no more pixels than one that is just so long: its short side is
    shorter. Without that, a panorama would take any memory.
    """
    height, width = size
    factor = min(1, short / min(height, width), short * math.sqrt(longest / (height * width)))
    return max(1, round(height * factor)), max(1, round(width * factor))


def at_short_side(images: Tensor, short: int, longest: float = math.inf) -> Tensor:
    """(B, 3, H, W), bytes or in [0, 1], at the size that `short_side_size` says."""
    return resized(images, short_side_size(images.shape[-2:], short, longest))


def read_picture(source: Path) -> Picture:
    """Read a picture file, upright and in sRGB. Raises FileError as `open_upright` does."""
    pixels = to_tensor(open_upright(source))
    return Picture(pixels[:3].contiguous(), pixels[3:].contiguous() if pixels.shape[0] == 4 else None)


def read_photo(source: Path, short: int = 2**31) -> Tensor:
    """A picture file on white as (1, 3, H, W), its short side brought down to `short` pixels, see `at_short_side`."""
    return at_short_side(read_picture(source).on_white()[None], short, LONGEST)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as `write_image` does."""
    write_image(path, to_image(torch.cat([each for each in picture if each is not None])))


def write_image(path: Path, image: Image.Image) -> None:
    """Write a picture, the format by the suffix of `path`; an older file stays until this one is whole.

    Raises FileError as `encoded_image` does, or for a place that cannot be written to.
    """
    write_atomically(path, encoded_image(image, path.suffix))


def check_encodable(size: Sequence[int], suffix: str) -> None:
    """Raises FileError for a suffix that is unknown, or whose format has no room for pictures of that size."""
    options = WRITE_OPTIONS.get(suffix.lower())
    if options is None:
        raise FileError(f"pictures are written as {', '.join(WRITE_OPTIONS)}: choose one of these suffixes")
    kind = options["format"]
    most = MOST_PIXELS_A_SIDE.get(kind, max(size))
    if max(size) > most:
        raise FileError(f"this picture cannot be written as {kind}, which has {most} pixels a side at most: choose PNG")


def encoded_image(image: Image.Image, suffix: str) -> bytes:
    """An RGB or RGBA picture as a file's content, the format by the file's suffix; in JPEG it is laid on white.

    Raises FileError as `check_encodable` does, and for a picture that is too large for the format.
    """
    check_encodable(image.size, suffix)
    options = WRITE_OPTIONS[suffix.lower()]
    if options["format"] == "JPEG":
        image = flattened(image)
    encoded = io.BytesIO()
    try:
        image.save(encoded, **options)
    except (OSError, ValueError) as error:  # the larger the picture, the fewer formats have room for it
        raise FileError(f"this picture cannot be written as {options['format']}: {error}") from error
    return encoded.getvalue()
