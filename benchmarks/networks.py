"""How near the bundled networks come to their paintings, how far they go from photographs, and which faces stay."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from allaprima.inference.faces import faces_kept
from allaprima.inference.stylizer import Stylizer
from allaprima.losses import vgg_weights
from allaprima.losses.gram import gram_matrix
from allaprima.losses.perceptual import relative_content, relative_style
from allaprima.losses.style import Style, bundled_style
from allaprima.losses.vgg import VGG
from allaprima.media.bundled import bundled_names
from allaprima.media.images import read_photo
from allaprima.media.inputs import held_out_photos
from allaprima.networks.files import load_network
from benchmarks.settings import BenchmarkSettings

# Style layers and content layer, by the depth of the VGG.
LAYERS = {
    19: (("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), "relu4_2"),
    16: (("relu1_2", "relu2_2", "relu3_3", "relu4_3"), "relu3_3"),
}


class Distances(NamedTuple):
    """Relative distances of a picture: of its Gram matrices from the painting's, of its features from the photograph's.

    `style` is the mean of `layers`, each |G - A|^2 / |A|^2; `content` is |F - P|^2 / |P|^2.
    """

    style: float
    content: float
    layers: list[float]


class DistanceMetric:
    """A loss network of the papers with its layers: VGG-19, or VGG-16, which no bundled network was trained on.

    Args:
        depth: 19 or 16.
    """

    def __init__(self, depth: int) -> None:
        self.layers, self.content = LAYERS[depth]
        self.vgg = VGG(vgg_weights.load("caffe", depth), [*self.layers, self.content])

    @torch.no_grad()
    def __call__(self, pastiche: Tensor, photo: Tensor, style: Style, size: int) -> Distances:
        """Compare a pastiche of a photograph, (1, 3, H, W) in [0, 1] both, by the painting as read at `size` pixels."""
        targets = style.targets(self.vgg.identity, self.layers, size)
        found = self.vgg(pastiche, [*self.layers, self.content])
        photographed = self.vgg(photo, [self.content])[self.content]
        layers = [relative_style(gram_matrix(found[layer]), target).item() for layer, target in targets.items()]
        content = relative_content(found[self.content], photographed).item()
        return Distances(sum(layers) / len(layers), content, layers)


def mean(distances: Sequence[Distances]) -> Distances:
    """The mean over photographs."""
    rows = torch.tensor([[each.style, each.content, *each.layers] for each in distances]).mean(0).tolist()
    return Distances(rows[0], rows[1], rows[2:])


BOLDNESSES = 0, 0.5, 1


def single_networks() -> list[str]:
    """The bundled networks that are for one painting."""
    return [name for name in bundled_names("models") if len(load_network(name)[1].paintings) == 1]


def looks(names: Sequence[str] | None) -> Iterator[tuple[str, Stylizer, float | None]]:
    """Networks by name or path, None for all that are bundled, for each of their paintings at every boldness."""
    for name in names or bundled_names("models"):
        network, metadata = load_network(name)
        for painting in metadata.names:
            stylizer = Stylizer(network, metadata, painting, "torch", "cpu")
            title = f"{name} {painting}" if len(metadata.names) > 1 else name
            for boldness in BOLDNESSES if network.levels > 1 else (None,):
                yield title if boldness is None else f"{title} {boldness:g}", stylizer, boldness


@torch.no_grad()
def benchmark_networks(settings: BenchmarkSettings) -> None:
    """Print for every network the distances of photographs and pastiches by both metrics, and the faces that are kept.

    A face is kept where a detector that is sure of it in the photograph finds it again in the pastiche.

    Raises:
        UserError: `benchmark.photos` is no folder of photographs, one of them cannot be read, or a package is missing.
    """
    benchmark = settings.benchmark
    photos = [read_photo(path, benchmark.size) for path in held_out_photos(benchmark.photos)]
    metrics = {depth: DistanceMetric(depth) for depth in (19, 16)}
    print(f"{len(photos)} photographs, short side {benchmark.size}, paintings at {benchmark.style_size}")
    columns = f"{'VGG-19 style':>13}{'content':>9}{'of photo':>10}{'VGG-16 style':>14}{'content':>9}{'of photo':>10}"
    print(f"{'':40}{columns}{'faces':>10}")
    for name, stylizer, boldness in looks(benchmark.networks):
        style = bundled_style(stylizer.painting.name)
        pastiches = [stylizer(photo, boldness=boldness, brush=1) for photo in photos]
        columns = f"{name:40}"
        for metric in metrics.values():
            size = benchmark.style_size
            own = mean([metric(photo, photo, style, size) for photo in photos])
            painted = mean([metric(*pair, style, size) for pair in zip(pastiches, photos, strict=True)])
            columns += f"{painted.style:13.3f}{painted.content:9.2f}{painted.style / own.style:9.0%} "
        faces = faces_kept([photo[0] for photo in photos], [pastiche[0] for pastiche in pastiches])
        print(f"{columns}{f'{faces.kept} of {faces.total}':>9}", flush=True)
