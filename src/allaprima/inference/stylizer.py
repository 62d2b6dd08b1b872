"""A trained network, ready for use: load it, call it with a picture."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from allaprima.errors import UserError
from allaprima.inference.engines import ENGINES, fastest_engine, missing_packages
from allaprima.media.images import at_short_side, resized, to_image, to_tensor, upright
from allaprima.networks.files import load_network

# Luma and colour differences of ITU-R BT.601, as JPEG has them.
RGB_TO_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


class Stylizer:
    """Paints pictures with one trained network: `Stylizer.load("kandinsky")(image)`.

    Args:
        network: photographs to pastiches, (B, 3, H, W) in [0, 1] both.
        metadata: what the network's file says of itself.
        engine: the name of what computes the network, see `inference.engines`; the fastest that is installed if None.

    Raises:
        UserError: there is no such engine, or it is not installed.
    """

    def __init__(self, network: nn.Module, metadata: dict[str, Any], engine: str | None = None) -> None:
        self.network = network.eval().requires_grad_(False)
        self.metadata = metadata
        self.engine = engine or fastest_engine()
        if self.engine not in ENGINES:
            raise UserError(f"engine={engine}: take one of {', '.join(ENGINES)}")
        if missing := missing_packages(self.engine):
            raise UserError(f"engine={engine} needs {', '.join(missing)}: pip install {' '.join(missing)}")
        self._engine = ENGINES[self.engine][0](self.network)

    @classmethod
    def load(cls, name: str | Path, engine: str | None = None) -> "Stylizer":
        """Load a network as `load_network` does. Raises UserError too for one of several paintings."""
        network, metadata = load_network(name)
        if metadata.get("styles"):
            raise UserError(f"{name} is of {metadata['style']['title']}, to train from: train.py init={name}")
        return cls(network, metadata, engine)

    @torch.inference_mode()
    def __call__(
        self,
        image: Tensor | Image.Image,
        strength: float = 1.0,
        preserve_color: bool = False,
        size: int | None = None,
    ) -> Tensor | Image.Image:
        """Paint one picture, or a batch of them.

        Args:
            image: (3, H, W) or (B, 3, H, W), sRGB in [0, 1], or a Pillow image of any mode, which is turned upright
                and keeps its transparency.
            strength: 0 gives the photograph back, 1 the pastiche, between them a blend.
            preserve_color: take the luminance from the pastiche and the colour from the photograph.
            size: work at this many pixels on the short side if the picture has more, for larger strokes and less time.

        Returns:
            The pastiche, of the kind and size of `image`.

        Raises:
            UserError: a strength or size out of its range, or a tensor of another shape or type.
        """
        if not 0 <= strength <= 1:
            raise UserError(f"strength={strength}: give a number from 0 (the photograph) to 1 (the pastiche)")
        if size is not None and size < 1:
            raise UserError(f"size={size}: give the short side in pixels, 1 or more")
        if isinstance(image, Image.Image):
            pixels = to_tensor(upright(image))
            painted = self(pixels[:3], strength, preserve_color, size)
            return to_image(torch.cat([painted, pixels[3:]]))
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.is_floating_point():
            raise UserError(
                f"a tensor of {tuple(image.shape)}, {image.dtype}: give (3, H, W) or (B, 3, H, W), in [0, 1]"
            )
        photos = (image if image.ndim == 4 else image[None]).float()
        pastiches = resized(self._engine(at_short_side(photos, size) if size else photos), photos.shape[-2:])
        if preserve_color:
            pastiches = with_colors_of(photos, pastiches)
        blended = torch.lerp(photos, pastiches, strength).contiguous().to(image.dtype)
        return blended if image.ndim == 4 else blended[0]


def with_colors_of(photos: Tensor, pastiches: Tensor) -> Tensor:
    """Luminance of `pastiches`, colour of `photos` (Gatys et al. 2016); all (B, 3, H, W) in [0, 1]."""
    photo_ycc = torch.einsum("ij,bjhw->bihw", RGB_TO_YCC, photos)
    luminance = torch.einsum("j,bjhw->bhw", RGB_TO_YCC[0], pastiches)
    mixed = torch.stack([luminance, photo_ycc[:, 1], photo_ycc[:, 2]], 1)
    return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(RGB_TO_YCC), mixed).clamp(0, 1)
