"""A trained network, ready for use: load it, call it with a picture."""

import functools
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from allaprima.hardware import chosen_device
from allaprima.inference.engines import fastest_engine, ready
from allaprima.inference.tiling import Tiles
from allaprima.media.images import at_short_side, open_upright, resized, to_image, to_tensor, upright
from allaprima.networks.files import load_single
from allaprima.networks.metadata import Metadata

# Pixels up to which a picture is painted in one piece, some 1.5 GB; larger ones in tiles, always by PyTorch.
LARGEST_WHOLE = 2_500_000
BRUSHES = 0.25, 16
# Wide strokes are painted small and enlarged, which blurs them; painted over by half, they have edges again.
REPAINTED = 0.5
BICUBIC = Image.Resampling.BICUBIC
# Luma and colour differences of ITU-R BT.601, as JPEG has them.
RGB_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])

AnyImage = TypeVar("AnyImage", Tensor, np.ndarray, Image.Image)


class Stylizer:
    """Paints pictures with one trained network: `Stylizer.load("kandinsky")("photo.jpg").save("painted.jpg")`.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both.
        metadata: what the network's file says of itself.
        engine: what computes the network, a name in `inference.engines.ENGINES`; `auto`: the fastest that is installed.
        device: `cpu`, `cuda` or `mps`; `auto`: a GPU where there is one.

    Attributes:
        painted_by: the engine that painted the last picture: `engine`, or torch where it took tiles.

    Raises:
        UserError: there is no such engine or device, or the engine is not installed.
    """

    def __init__(self, network: nn.Module, metadata: Metadata, engine: str = "auto", device: str = "auto") -> None:
        self.network = network.eval().requires_grad_(False)
        self.metadata = metadata
        self.device = "cpu" if device == "auto" and engine not in ("auto", "torch") else chosen_device(device)
        self.engine = engine
        if engine == "auto":
            self.engine = fastest_engine() if self.device == "cpu" else "torch"
        self._paint = ready(self.network, self.engine, self.device)
        self.painted_by = self.engine

    @classmethod
    def load(cls, name: str | Path, style: str | None = None, engine: str = "auto", device: str = "auto") -> "Stylizer":
        """Load a bundled network, by its name, or any other, by its path.

        Args:
            name, style: what `load_single` takes.
            engine, device: see `Stylizer`.

        Raises:
            UserError: there is no such network, or it has no such painting.
        """
        return cls(*load_single(name, style), engine, device)

    @torch.no_grad()
    def __call__(
        self,
        image: AnyImage | str | os.PathLike[str],
        strength: float = 1.0,
        preserve_color: bool = False,
        size: int | None = None,
        brush: float = 1.0,
    ) -> AnyImage:
        """Paint one picture, or a batch of them.

        Args:
            image: a tensor, (3, H, W) or (B, 3, H, W), sRGB in [0, 1]; an array, (H, W, 3) or (H, W, 4), of bytes or
                in [0, 1]; a Pillow image of any mode, which is turned upright; or the path of a picture file.
                Transparency is kept.
            strength: 0 gives the photograph back, 1 the pastiche, between them a blend.
            preserve_color: take the luminance from the pastiche and the colour from the photograph.
            size: work at this many pixels on the short side if the picture has more, for larger strokes and less time.
            brush: width of the strokes, in multiples of what the network paints at that size, `BRUSHES`.

        Returns:
            The pastiche, of the kind and size of `image`; of a path a Pillow image.

        Raises:
            FileError: there is no such picture file, or it cannot be read.
            TypeError: `image` is none of these, or `size` is no whole number.
            ValueError: a shape, or a value, out of its range.
        """
        check_options(strength, size, brush)
        self.painted_by = self.engine
        options = strength, preserve_color, size, brush
        if isinstance(image, str | os.PathLike):
            image = open_upright(Path(image))
        if isinstance(image, Image.Image):
            return self._image(upright(image), *options)
        if isinstance(image, np.ndarray):
            return self._array(image, options)
        if not isinstance(image, Tensor):
            raise TypeError(f"{type(image).__name__}: give a tensor, an array, a Pillow image, or a picture's path")
        check_pixels(image)
        photos = (image if image.ndim == 4 else image[None]).float()
        pastiches = self._pastiches(photos.cpu(), *options).to(image.device, image.dtype)
        return pastiches if image.ndim == 4 else pastiches[0]

    @functools.cached_property
    def _tiles(self) -> Tiles:
        return Tiles(self.network, self.device)

    def _image(
        self, image: Image.Image, strength: float, preserve_color: bool, size: int | None, brush: float
    ) -> Image.Image:
        # Bytes but for what the network works on: a photograph of 50 megapixels has 0.6 GB as floating-point numbers.
        photo = image if image.mode == "RGB" else image.convert("RGB")
        factor = min(1, size / min(photo.size)) if size else 1
        worked = photo if factor == 1 else scaled(photo, factor)
        painted = self._painted(worked) if brush == 1 else self._brushed(worked, brush)
        painted = painted if painted.size == photo.size else painted.resize(photo.size, BICUBIC)
        if preserve_color:
            luminance, colors = painted.convert("YCbCr").getchannel(0), photo.convert("YCbCr").split()[1:]
            painted = Image.merge("YCbCr", (luminance, *colors)).convert("RGB")
        if strength < 1:
            painted = Image.blend(photo, painted, strength)
        if image.mode == "RGBA":
            painted.putalpha(image.getchannel("A"))
        return painted

    def _painted(self, photo: Image.Image) -> Image.Image:
        if photo.width * photo.height > LARGEST_WHOLE:
            self.painted_by = "torch"
            return self._tiles(photo)
        return to_image(self._paint(to_tensor(photo)[None])[0])

    def _brushed(self, photo: Image.Image, brush: float) -> Image.Image:
        coarse = self._painted(scaled(photo, 1 / brush)).resize(photo.size, BICUBIC)
        return Image.blend(coarse, self._painted(coarse), REPAINTED) if brush > 1 else coarse

    def _array(self, image: np.ndarray, options: Any) -> np.ndarray:
        if image.ndim != 3 or image.shape[2] not in (3, 4):
            raise ValueError(f"an array of {image.shape}: give (H, W, 3) or (H, W, 4)")
        bands = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        if image.dtype != np.uint8:
            return torch.cat([self(bands[:3], *options), bands[3:]]).permute(1, 2, 0).numpy()
        painted = (self(bands[:3].float() / 255, *options) * 255).round().clamp(0, 255).byte()
        return torch.cat([painted, bands[3:]]).permute(1, 2, 0).contiguous().numpy()

    def _pastiches(
        self, photos: Tensor, strength: float, preserve_color: bool, size: int | None, brush: float
    ) -> Tensor:
        worked = at_short_side(photos, size) if size else photos
        sides = worked.shape[-2:]
        if brush == 1:
            pastiches = self._paint(worked)
        else:
            coarse = [max(1, round(side / brush)) for side in sides]
            pastiches = resized(self._paint(resized(worked, coarse)), sides)
            if brush > 1:
                pastiches = torch.lerp(pastiches, self._paint(pastiches), REPAINTED)
        pastiches = resized(pastiches, photos.shape[-2:])
        if preserve_color:
            pastiches = with_colors_of(photos, pastiches)
        return torch.lerp(photos, pastiches, strength).contiguous()


def scaled(photo: Image.Image, factor: float) -> Image.Image:
    """A picture with sides of so many times their length."""
    return photo.resize([max(1, round(side * factor)) for side in photo.size], BICUBIC)


def check_options(strength: float, size: int | None, brush: float) -> None:
    """Raises ValueError or TypeError for a strength, a size or a brush that cannot be."""
    if not BRUSHES[0] <= brush <= BRUSHES[1]:
        raise ValueError(f"brush={brush}: give a number from {BRUSHES[0]} to {BRUSHES[1]}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength={strength}: give a number from 0 (the photograph) to 1 (the pastiche)")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise TypeError(f"size={size!r}: give the short side in pixels, a whole number")
    if size is not None and size < 1:
        raise ValueError(f"size={size}: give the short side in pixels, 1 or more")


def check_pixels(image: Tensor) -> None:
    """Raises ValueError or TypeError for a tensor that is not (3, H, W) or (B, 3, H, W), sRGB in [0, 1]."""
    wanted = "give (3, H, W) or (B, 3, H, W), in [0, 1]"
    if not image.is_floating_point():
        raise TypeError(f"a tensor of {image.dtype}: {wanted}, floating point")
    if image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.numel():
        raise ValueError(f"a tensor of {tuple(image.shape)}: {wanted}")
    least, most = image.min().item(), image.max().item()
    if not -0.1 <= least <= most <= 1.1:  # a little beyond is what resizing leaves; of NaN neither holds
        raise ValueError(f"values from {least:g} to {most:g}: {wanted}")


def with_colors_of(photos: Tensor, pastiches: Tensor) -> Tensor:
    """Luminance of `pastiches`, colour of `photos` (Gatys et al. 2016); all (B, 3, H, W) in [0, 1]."""
    photo_ycc = torch.einsum("ij,bjhw->bihw", RGB_TO_YCC, photos)
    luminance = torch.einsum("j,bjhw->bhw", RGB_TO_YCC[0], pastiches)
    mixed = torch.stack([luminance, photo_ycc[:, 1], photo_ycc[:, 2]], 1)
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(RGB_TO_YCC), mixed).clamp(0, 1)
