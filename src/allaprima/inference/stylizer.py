"""A trained network, ready for use: load it, call it with a picture."""

import functools
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from allaprima.errors import UserError
from allaprima.hardware import chosen_device
from allaprima.inference.brush import AUTO, BRUSHES, fitting_brush
from allaprima.inference.by_place import AnyMap, across, as_map, mixed_codes
from allaprima.inference.engines import Paint, fastest_engine, load_engine
from allaprima.inference.face_maps import face_map
from allaprima.inference.faces import find_faces
from allaprima.inference.tiling import Tiles
from allaprima.media.images import (
    as_bytes,
    as_floats,
    at_short_side,
    off_white,
    on_white,
    open_upright,
    put,
    resized,
    strips,
    upright,
)
from allaprima.media.painting import Painting
from allaprima.networks.base import BOLDEST, BOLDNESS, TransformationNetwork
from allaprima.networks.files import load_network
from allaprima.networks.metadata import Metadata

# Pixels up to which a picture is painted in one piece, some 1.5 GB; larger ones in tiles, always by PyTorch.
LARGEST_WHOLE = 2_500_000
NARROWEST = 256  # pixels a side: a narrower picture takes hardly less memory, as the network adds a margin
BLENDS = "even", "across", "down"
# Wide strokes are painted small and enlarged, which blurs them; painted over by half, they have edges again.
REPAINTED = 0.5
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
        style: which of its paintings, by name, or several by their shares; None: the only one.
        engine: what computes the network, a name in `inference.engines.ENGINES`; `auto`: the fastest that is installed.
        device: `cpu`, `cuda` or `mps`; `auto`: a GPU where there is one.

    Raises:
        UserError: there is no such painting, engine or device, or the engine is not installed.
    """

    def __init__(
        self,
        network: TransformationNetwork,
        metadata: Metadata,
        style: str | Mapping[str, float] | None = None,
        engine: str = "auto",
        device: str = "auto",
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.metadata = metadata
        self.blend = chosen_blend(metadata, style)
        self.painting = blended_painting(metadata, self.blend)
        self.device = "cpu" if device == "auto" and engine not in ("auto", "torch") else chosen_device(device)
        self.engine = engine
        if engine == "auto":
            self.engine = fastest_engine() if self.device == "cpu" else "torch"
        self._paint = load_engine(self.network, self.engine, self.device)

    @classmethod
    def load(
        cls,
        name: str | Path,
        style: str | Mapping[str, float] | None = None,
        engine: str = "auto",
        device: str = "auto",
    ) -> "Stylizer":
        """Load a network, by name or path, for one of its paintings or several, an engine and a device."""
        return cls(*load_network(name), style, engine, device)

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
        brush: float | Literal["auto"] = AUTO,
        boldness: AnyMap | None = None,
        mask: AnyMap | None = None,
        blend: str = "even",
        faces: str | Tensor | None = None,
    ) -> Stylized[AnyImage]:
        """Paint one picture, or a batch of them.

        Args:
            image: a tensor, (3, H, W) or (B, 3, H, W), sRGB in [0, 1]; an array, (H, W, 3) or (H, W, 4), of bytes or
                in [0, 1]; a Pillow image of any mode, which is turned upright; or the path of a picture file.
                Transparency is painted on white, and kept.
            strength: 0 gives the photograph back, 1 the pastiche, between them a blend.
            preserve_color: take the luminance from the pastiche and the colour from the photograph.
            size: work at this many pixels on the short side if the picture has more, for larger strokes and less time.
            brush: width of the strokes, in multiples of the network's, `BRUSHES`; `auto`: see `fitting_brush`.
            boldness: 0 keeps the photograph's drawing, 1 paints as freely as was trained, `BOLDEST` more so; or a map
                of it, see `as_map`; None is `BOLDNESS`, or what a network without the choice has.
            mask: a map of where the picture is painted: 0 keeps the photograph, 1 is the pastiche.
            blend: of several paintings, `even`; or `across` or `down`, from the first at the left or top to the last.
            faces: `calm` paints faces, which it finds, at boldness 0; or a map of where they are, see `FaceMaps`.

        Returns:
            The stylized image, of the kind and size of `image`; of a path a Pillow image.

        Raises:
            FileError: there is no such picture file, or it cannot be read.
            TypeError: `image` is none of these, or `size` is no whole number.
            ValueError: a shape, or a value, out of its range.
            UserError: a boldness of a network without that choice.
        """
        check_options(strength, size, brush)
        photos, restored = as_photos(image)
        if isinstance(faces, str):
            faces = found_faces(photos, faces)
        codes = self._codes(photos.shape[-2:], boldness, blend, faces)
        pastiches, engine = self._pastiches(photos, size, brush, codes)
        blend_in_strips(pastiches, photos, strength, preserve_color, as_map(mask, photos.shape[-2:]))
        return Stylized(restored(pastiches), engine)

    def code(self, boldness: float | None = None) -> Tensor:
        """The code, (K,), that a boldness has, see `paint`."""
        return self._codes((1, 1), boldness)[0]

    def _codes(
        self, size: tuple[int, int], boldness: AnyMap | None, blend: str = "even", calm: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        if (boldness is not None or calm is not None) and self.network.levels == 1:
            setting = "boldness=" if calm is None else "faces="
            raise UserError(f"the network of {self.metadata.title} has one boldness: leave out {setting}")
        if blend not in BLENDS:
            raise ValueError(f"blend={blend}: take one of {', '.join(BLENDS)}")
        if blend != "even" and len(self.blend) == 1:
            raise UserError(f"blend={blend} is between paintings: give several, as style='{{kandinsky: 1, udnie: 1}}'")
        shares = self.blend if blend == "even" else across(list(self.blend), size, down=blend == "down")
        boldness = BOLDNESS if boldness is None else as_map(boldness, size, BOLDEST)
        return mixed_codes(self.network, shares, boldness if calm is None else boldness * (1 - calm))

    def _pastiches(
        self, photos: Tensor, size: int | None, brush: float | str, codes: tuple[Tensor, Tensor | None]
    ) -> tuple[Tensor, str]:
        worked = at_short_side(photos, size) if size else photos
        height, width = worked.shape[-2:]
        brush = fitting_brush(height, width) if brush == AUTO else brush
        if brush == 1:
            pastiches, engine = self._painted(worked, *codes)
        else:
            small = [max(1, round(side / brush)) for side in (height, width)]
            coarse, engine = self._painted(resized(worked, small), *codes)
            pastiches = resized(coarse, (height, width))
        if brush > 1:
            repainted, engine = self._painted(pastiches, *codes)
            blend_in_strips(repainted, pastiches, REPAINTED, preserve_color=False)
            pastiches = repainted
        return resized(pastiches, photos.shape[-2:]), engine

    def _painted(self, photos: Tensor, code: Tensor, shares: Tensor | None) -> tuple[Tensor, str]:
        size = photos.shape[-2:]
        if shares is not None:
            shares = F.interpolate(shares[None], size, mode="bilinear")[0]
        if math.prod(max(side, NARROWEST) for side in size) > LARGEST_WHOLE:
            return torch.stack([self._tiles(photo, code, shares) for photo in photos]), "torch"
        if shares is None:
            painted, engine = self._paint(as_floats(photos).contiguous(), code), self.engine
        else:  # which the other engines do not take
            painted, engine = self._torch(as_floats(photos).contiguous(), code, shares), "torch"
        return (as_bytes(painted) if photos.dtype == torch.uint8 else painted).contiguous(), engine

    @functools.cached_property
    def _tiles(self) -> Tiles:
        return Tiles(self.network, self.device)

    @functools.cached_property
    def _torch(self) -> Paint:
        return load_engine(self.network, "torch", self.device)


def found_faces(photos: Tensor, how: str) -> Tensor:
    """A map of the faces in a picture, (1, 3, H, W). Raises UserError where the detector is not installed."""
    if how != "calm" or len(photos) > 1:
        raise ValueError(f"faces={how} for {len(photos)} pictures: give calm, and one picture")
    return face_map(find_faces(as_floats(photos[0])).boxes, *photos.shape[-2:])


def chosen_blend(metadata: Metadata, style: str | Mapping[str, float] | None) -> dict[str, float]:
    """The shares of a network's paintings, by name, whose sum is 1. Raises UserError for paintings it does not have."""
    if len(metadata.paintings) == 1 and not isinstance(style, Mapping):
        return {metadata.names[0]: 1.0}  # whatever a file's painting is called
    blend = {style: 1.0} if isinstance(style, str) else dict(style or {})
    total = sum(blend.values())
    if blend and (min(blend.values()) < 0 or not total > 0):
        raise UserError(f"shares of {', '.join(blend)}: give numbers from 0, one of them or more above 0")
    if not blend or not blend.keys() <= set(metadata.names):
        raise UserError(
            f"the network is of {metadata.title}: give style=, one of {', '.join(metadata.names)}, or shares"
        )
    return {name: share / total for name, share in blend.items()}


def blended_painting(metadata: Metadata, blend: Mapping[str, float]) -> Painting:
    """What is said of a blend: of one painting that itself, of several their names and shares."""
    paintings = [painting for painting in metadata.paintings if painting.name in blend]
    if len(paintings) == 1:
        return paintings[0]
    title = ", ".join(f"{blend[painting.name]:.0%} {painting.title}" for painting in paintings)
    unknown = {"artist": "", "year": "", "source": "", "sha256": ""}
    return Painting(name="_".join(blend), title=title, **unknown)


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
        photo, alpha = pixels[:3], pixels[3:]
        if len(alpha):
            if image.dtype != np.uint8:
                check_pixels(alpha.expand(3, -1, -1))
            photo = on_white(photo, alpha)
        photos, restored = (photo[None], lambda x: x[0]) if image.dtype == np.uint8 else as_photos(photo)

        def as_array(pastiches: Tensor) -> np.ndarray:
            pastiche = restored(pastiches)
            bands = torch.cat([off_white(pastiche, alpha), alpha]) if len(alpha) else pastiche
            return bands.permute(1, 2, 0).contiguous().numpy()

        return photos, as_array
    if not isinstance(image, Tensor):
        raise TypeError(f"{type(image).__name__}: give a tensor, an array, a Pillow image, or a picture's path")
    check_pixels(image)
    photos = (image if image.ndim == 4 else image[None]).float().cpu()
    return photos, lambda pastiches: pastiches.view(image.shape).to(image.device, image.dtype)


def blend_in_strips(
    pastiches: Tensor, photos: Tensor, strength: float, preserve_color: bool, mask: Tensor | float = 1.0
) -> None:
    """Blend pastiches with photographs in place, (B, 3, H, W), bytes or float32, in floating point strip by strip.

    `mask` is a number or a map, (H, W), that the strength is multiplied by.
    """
    strengths = strength * torch.as_tensor(mask)
    if strengths.ndim == 0 and strengths == 1 and not preserve_color:
        return
    for pastiche, photo, weight in strips(pastiches, photos, strengths.expand(photos.shape[-2:])):
        kept, painted = as_floats(photo), as_floats(pastiche)
        painted = with_colors_of(kept, painted) if preserve_color else painted
        put(pastiche, torch.lerp(kept, painted, weight))


def check_options(strength: float, size: int | None, brush: float | str) -> None:
    """Raises ValueError or TypeError for a strength, a size or a brush that is invalid."""
    if brush != AUTO and not BRUSHES[0] <= brush <= BRUSHES[1]:
        raise ValueError(f"brush={brush}: give auto, or a number from {BRUSHES[0]} to {BRUSHES[1]}")
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
