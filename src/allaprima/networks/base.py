"""What both networks share: codes, input noise, layers on a grid of 4 pixels, any size painted at its own."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from allaprima.networks.blocks import CELL, InputNoise, InstanceNorm, Layers, Pass, Residual
from allaprima.networks.settings import NetworkSettings

SPARE = 1  # cells of the margin that are left after the residual blocks, each of which cuts off one
BOLDNESS = 0.5  # where nobody says another
BOLDEST = 1.5  # beyond the bold code, in its direction; farther away pictures dissolve


class TransformationNetwork(nn.Module):
    """Photograph to pastiche in one pass: convolutions that know how to paint, and codes that say what like.

    A network that sees where its picture ends paints a frame there, wherever that brings Gram matrices nearer. So in
    training all padding is circular, and the picture is rolled so that its seam is anywhere; in painting it has a
    margin, a reflection of the picture, of which every residual block cuts off a cell.

    Args:
        layers: (B, 3, h, w) to logits; h and w multiples of 4. With circular padding of the same shape, else with a
            cell less on each side for every residual block among them.
        settings: for the input noise.
        paintings: names of those that there is a code for.
        levels: 1, or 2 codes for each: one calm, one bold.
    """

    def __init__(self, layers: Layers, settings: NetworkSettings, paintings: Sequence[str], levels: int) -> None:
        super().__init__()
        self.input_noise = InputNoise(settings.input_noise, settings.painting_noise)
        self.layers = layers
        self.margin = CELL * (SPARE + sum(isinstance(layer, Residual) for layer in layers))
        self.norms = [norm for norm in layers.modules() if isinstance(norm, InstanceNorm)]
        sizes = [norm.channels for norm in self.norms]
        for norm, before in zip(self.norms, range(len(sizes)), strict=True):
            norm.first = 2 * sum(sizes[:before])
        code = torch.cat([torch.cat([torch.ones(size), torch.zeros(size)]) for size in sizes])
        self.codes = nn.Parameter(code.repeat(len(paintings), levels, 1))
        self.paintings = tuple(paintings)

    @property
    def levels(self) -> int:
        """How many codes there are of each painting: 1, or 2, the calm and the bold one."""
        return self.codes.shape[1]

    def code(self, blend: str | Mapping[str, float] | None = None, boldness: float = BOLDNESS) -> Tensor:
        """The code, (K,), of a painting, or of several by their shares, whose sum is 1; None: of all of them alike.

        With two codes for each painting, `boldness` is where between them: 0 the calm one, 1 the bold one.
        """
        if blend is None:
            blend = dict.fromkeys(self.paintings, 1 / len(self.paintings))
        blend = {blend: 1.0} if isinstance(blend, str) else blend
        levels = sum(share * self.codes[self.paintings.index(name)] for name, share in blend.items())
        return levels[0] if self.levels == 1 else torch.lerp(*levels, boldness)

    def forward(
        self, photos: Tensor, code: Tensor | None = None, shares: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """Paint (B, 3, H, W), sRGB in [0, 1], any H and W: the same shape, float32, in [0, 1].

        In training with circular padding and new noise.

        Args:
            photos: the batch.
            code: (K,), or (B, K), one for each picture, or (R, K); None is that of all paintings alike, see `code`.
            shares: (R, H, W), of each of R codes at each pixel, whose sum is 1: they are mixed in the norms.
            training: whether this is training.
        """
        height, width = photos.shape[-2:]
        margin, spare = (0, 0) if training else (self.margin, CELL * SPARE)
        # By index, since engines that load an exported network know no padding by an amount that depends on the size.
        rows, columns = (reflected(side, margin).to(photos.device) for side in (height, width))
        if shares is not None:
            shares = shares.index_select(1, rows).index_select(2, columns)[None]
        code = self.code() if code is None else code
        how = Pass(code[None] if code.ndim == 1 else code, training, shares)
        painted = self.with_margin(photos.index_select(2, rows).index_select(3, columns), how)
        return painted[..., spare : spare + height, spare : spare + width]

    def with_margin(self, photos: Tensor, how: Pass, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Paint photographs that have their margin already, (B, 3, h, w) with h and w multiples of `CELL`.

        Of a tile of a larger picture, `corner` is where its first pixel is, row and column. In training the shape
        stays, else `margin - CELL * SPARE` pixels are lost on each side.
        """
        return torch.sigmoid(self.layers(self.noisy(photos, how.circular, corner), how).float())

    def noisy(self, photos: Tensor, training: bool = False, corner: tuple[int, int] = (0, 0)) -> Tensor:
        """Photographs with their input noise, as the layers take them; see `with_margin`."""
        return self.input_noise(photos.contiguous(memory_format=torch.channels_last), training, corner)


def reflected(side: int, margin: int) -> Tensor:
    """Indices along a side, in pixels, that reflect it into a margin and fill it up to a multiple of `CELL`."""
    places = torch.arange(-margin, side + -side % CELL + margin).abs()
    return (side - 1 - (side - 1 - places).abs()).clamp(min=0)
