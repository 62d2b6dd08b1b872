"""How near the carried networks come to their paintings, and how far they go from the photographs."""

import torch
from omegaconf import DictConfig
from torch import Tensor

from allaprima import weights
from allaprima.data.photos import held_out_photos
from allaprima.images import at_short_side, read_picture
from allaprima.losses import gram_matrix, relative_content, relative_style
from allaprima.network_file import load_network
from allaprima.objective import check_objective
from allaprima.settings import SMALLEST_SIDE, check_whole
from allaprima.shipped import shipped_names
from allaprima.style import shipped_style
from allaprima.vgg import VGG, canonical_name


@torch.no_grad()
def benchmark_networks(config: DictConfig) -> None:
    """Print for every carried network the relative distances of photographs and pastiches, in float32.

    Raises:
        UserError: `benchmark.photos` is no folder of photographs, one of them cannot be read, or the paintings were
            not read with that loss network.
    """
    check_whole(config, "benchmark.size", least=SMALLEST_SIDE)
    photos = held_out_photos(config.benchmark.photos)
    check_objective(config)
    source = weights.load(str(config.loss.weights), config.loss.depth)
    layers = [canonical_name(layer, config.loss.depth) for layer in config.loss.style_layers]
    vgg = VGG(source, [*layers, *config.loss.content_layers])
    print(f"relative distances by {source.identity}, {len(photos)} photographs, short side {config.benchmark.size}")
    print(f"{'':24}{'style of photo':>15}{'of pastiche':>13}{'ratio':>7}{'worst':>7}{'content':>9}")
    for name in shipped_names("models"):
        network, metadata = load_network(name)
        network.eval()
        targets = shipped_style(metadata["style"]["name"]).targets(source.identity, layers, metadata["style_size"])
        rows = []
        for path in photos:
            photo = at_short_side(read_picture(path).image[None], config.benchmark.size)
            pastiche = network(photo)
            mine, theirs = (vgg(image, [*layers, *config.loss.content_layers]) for image in (pastiche, photo))
            content = sum(relative_content(mine[layer], theirs[layer]) for layer in config.loss.content_layers)
            rows.append(torch.cat([mean_style(theirs, targets), mean_style(mine, targets), content]))
        before, after, content = torch.stack(rows).T
        ratio, worst = after.mean() / before.mean(), (after / before).max()
        print(f"{name:24}{before.mean():15.3f}{after.mean():13.3f}{ratio:7.2f}{worst:7.2f}{content.mean():9.2f}")


def mean_style(features: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Mean over the style layers of the relative style distance: (B,)."""
    distances = [relative_style(gram_matrix(features[layer]), target) for layer, target in targets.items()]
    return torch.stack(distances).mean(0)
