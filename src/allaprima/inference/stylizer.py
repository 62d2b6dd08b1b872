"""A trained network, ready for use: load it, call it with a picture."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from allaprima.hardware import chosen_device
from allaprima.inference.engines import fastest_engine, load_engine
from allaprima.inference.tiling import Tiles
from allaprima.media.images import as_bytes, as_floats, at_short_side, open_upright, resized, upright
from allaprima.networks.files import load_single
from allaprima.networks.metadata import Metadata

# Pixels up to which a picture is painted in one piece, some 1.5 GB; larger ones in tiles, always by PyTorch.
LARGEST_WHOLE = 2_500_000
BRUSHES = 0.25, 16
# Wide strokes are painted small and enlarged, which blurs them; painted over by half, they have edges again.
REPAINTED = 0.5
STRIP = 1 << 20  # pixels that are blended at once, in floating point
LUMA = torch.tensor([0.299, 0.587, 0.114])  # of ITU-R BT.601, as JPEG has it

AnyImage = TypeVar("AnyImage", Tensor, np.ndarray, Image.Image)


class Stylized(NamedTuple, Generic[AnyImage]):
    """A stylized image, and the engine that painted it: the stylizer's, or torch where it was painted in tiles."""

    image: AnyImage
    engine: str


class Stylizer:
    """Paints pictures with one trained network: `Stylizer.load("kandinsky")("photo.jpg").save("painted.jpg")`.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both.
        metadata: what the network's file says of itself.
        engine: what computes the network, a name in `inference.engines.ENGINES`; `auto`: the fastest that is installed.
        device: `cpu`, `cuda` or `mps`; `auto`: a GPU where there is one.

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
        self._paint = load_engine(self.network, self.engine, self.device)

    @classmethod
    def load(cls, name: str | Path, style: str | None = None, engine: str = "auto", device: str = "auto") -> "Stylizer":
        """Load a network and its painting as `load_single` does, for an engine and a device."""
        return cls(*load_single(name, style), engine, device)

    def __call__(self, image: AnyImage | str | os.PathLike[str], *args: Any, **options: Any) -> AnyImage:
        """Paint one picture, or a batch of them: the image that `paint` gives."""
        return self.paint(image, *args, **options).image

    @torch.no_grad()
    def paint(
        self,
        image: AnyImage | str | os.PathLike[str],
        strength: float = 1.0,
        preserve_color: bool = False,
        size: int | None = None,
        brush: float = 1.0,
    ) -> Stylized[AnyImage]:
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
            The stylized image, of the kind and size of `image`; of a path a Pillow image.

        Raises:
            FileError: there is no such picture file, or it cannot be read.
            TypeError: `image` is none of these, or `size` is no whole number.
            ValueError: a shape, or a value, out of its range.
        """
        check_options(strength, size, brush)
        photos, restored = as_photos(image)
        pastiches, engine = self._pastiches(photos, size, brush)
        blend_in_strips(pastiches, photos, strength, preserve_color)
        return Stylized(restored(pastiches), engine)

    def _pastiches(self, photos: Tensor, size: int | None, brush: float) -> tuple[Tensor, str]:
        worked = at_short_side(photos, size) if size else photos
        height, width = worked.shape[-2:]
        if brush == 1:
            pastiches, engine = self._painted(worked)
        else:
            coarse, engine = self._painted(resized(worked, [max(1, round(side / brush)) for side in (height, width)]))
            pastiches = resized(coarse, (height, width))
        if brush > 1:
            repainted, engine = self._painted(pastiches)
            blend_in_strips(repainted, pastiches, REPAINTED, preserve_color=False)
            pastiches = repainted
        return resized(pastiches, photos.shape[-2:]), engine

    def _painted(self, photos: Tensor) -> tuple[Tensor, str]:
        if photos.shape[-2] * photos.shape[-1] > LARGEST_WHOLE:
            return torch.stack([self._tiles(photo) for photo in photos]), "torch"
        painted = self._paint(as_floats(photos).contiguous())
        return (as_bytes(painted) if photos.dtype == torch.uint8 else painted).contiguous(), self.engine

    @functools.cached_property
    def _tiles(self) -> Tiles:
        return Tiles(self.network, self.device)


def as_photos(image: Any) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """A picture of any kind as (B, 3, H, W), bytes or float32 in [0, 1], and the way back for its stylized image.

    Raises FileError, TypeError or ValueError if it is no picture.
    """
    if isinstance(image, str | os.PathLike):
        image = open_upright(Path(image))
    if isinstance(image, Image.Image):
        photos, restored = as_photos(np.asarray(upright(image)))
        return photos, lambda pastiches: Image.fromarray(restored(pastiches))
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
            raise ValueError(f"an array of {image.shape}: give (H, W, 3) or (H, W, 4)")
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        photos, restored = (pixels[None, :3], lambda x: x[0]) if image.dtype == np.uint8 else as_photos(pixels[:3])

        def as_array(pastiches: Tensor) -> np.ndarray:
            return torch.cat([restored(pastiches), pixels[3:]]).permute(1, 2, 0).contiguous().numpy()

        return photos, as_array
    if not isinstance(image, Tensor):
        raise TypeError(f"{type(image).__name__}: give a tensor, an array, a Pillow image, or a picture's path")
    check_pixels(image)
    photos = (image if image.ndim == 4 else image[None]).float().cpu()
    return photos, lambda pastiches: pastiches.view(image.shape).to(image.device, image.dtype)


def blend_in_strips(pastiches: Tensor, photos: Tensor, strength: float, preserve_color: bool) -> None:
    """Blend pastiches with photographs in place, (B, 3, H, W), bytes or float32, in floating point strip by strip."""
    if strength == 1 and not preserve_color:
        return
    rows = max(1, STRIP // photos.shape[-1])
    for pastiche, photo in zip(pastiches.split(rows, 2), photos.split(rows, 2), strict=True):
        kept, painted = as_floats(photo), as_floats(pastiche)
        painted = with_colors_of(kept, painted) if preserve_color else painted
        blended = torch.lerp(kept, painted, strength)
        pastiche.copy_(as_bytes(blended) if pastiche.dtype == torch.uint8 else blended)


def check_options(strength: float, size: int | None, brush: float) -> None:
    """Raises ValueError or TypeError for a strength, a size or a brush that is invalid."""
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
    least = image.min().item()
    most = image.max().item()
    if not -0.1 <= least <= most <= 1.1:  # a little beyond is what resizing leaves; of NaN neither holds
        raise ValueError(f"values from {least:g} to {most:g}: {wanted}")


def with_colors_of(photos: Tensor, pastiches: Tensor) -> Tensor:
    """Luminance of `pastiches`, colour of `photos` (Gatys et al. 2016); all (B, 3, H, W) in [0, 1]."""
    # The luma is a part of all three channels alike, and colour what is left.
    return (photos + torch.einsum("c,bchw->bhw", LUMA, pastiches - photos)[:, None]).clamp(0, 1)
