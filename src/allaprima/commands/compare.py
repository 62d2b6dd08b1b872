"""The comparison that every trained network must face, as one command: a page, a sheet, and the number `worth`."""

import copy
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from allaprima.commands.checks import check_names, check_seed, check_sides, check_switch, check_whole
from allaprima.commands.objective import fast_on_cpu, load_objective
from allaprima.commands.paths import chosen_network
from allaprima.data.photos import held_out_photos, readable
from allaprima.errors import UserError
from allaprima.evaluation.comparison import Race, by_size, median_gain, median_worth, race
from allaprima.evaluation.report import Evidence, write_page, write_sheet
from allaprima.hardware import keep_freed_memory
from allaprima.inference.stylizer import Stylizer
from allaprima.losses.perceptual import PerceptualLoss, gram_matrix
from allaprima.losses.style import Style
from allaprima.media.bundled import bundled_names
from allaprima.networks.files import network_path, write_network
from allaprima.optimization.image import Iteration, Watch, optimize

SHOWN = (50, 100, 500)
DELTAS_AFTER = 100  # iterations
STARTS = ("noise", "photo")


def compare(config: DictConfig) -> Path:
    """Compare a network, and its rivals, with the optimizer as `configs/compare.yaml` says; print `worth N` last.

    Returns:
        The page's file; beside it stands the sheet.

    Raises:
        UserError: an option that cannot be done.
    """
    check_comparison(config)
    keep_freed_memory()
    path = chosen_network(config)
    folder = Path(str(config.output))
    folder.mkdir(parents=True, exist_ok=True)
    if config.record and not os.access(path.parent, os.W_OK):
        raise UserError(f"{path.parent} cannot be written to: leave out record=true")
    network = Stylizer.load(path)
    name = path.stem
    networks = {name: network} | rivals(config.rivals, name, network.metadata["style"])
    photos = readable(photographs(config.photos, folder))
    style, loss = network_objective(network.metadata, config.style.image)
    shown = [number for number in SHOWN if number < config.iterations] + [config.iterations]
    races, deltas = run_races(config, photos, networks, loss, shown)
    print_numbers(config, races)
    evidence = Evidence(style, network.metadata, network.engine, races, shown, deltas, grams_of(races[0], loss))
    page, sheet = folder / f"{name}.html", folder / f"{name}.png"
    write_page(page, evidence)
    write_sheet(sheet, evidence)
    print(f"the page is {page}, the sheet {sheet}")
    if config.record and len(races) < len(config.sizes) * len(photos):
        print(f"not recorded in {path}, since it is not the whole comparison")
    elif config.record:
        record(path, network, races, config.starts, config.iterations)
    smallest = next(iter(by_size(races).values()))
    print(f"worth {median_worth(smallest, name, config.starts[0])[0]:g}")
    return page


def run_races(
    config: DictConfig,
    photos: Sequence[Path],
    networks: Mapping[str, Stylizer],
    loss: PerceptualLoss,
    shown: Sequence[int],
) -> tuple[list[Race], dict[str, torch.Tensor]]:
    """Every photograph at every size, and the pictures of `deltas_of`; interrupted, those that were finished.

    Raises:
        UserError: interrupted before the first was finished.
    """
    races, deltas = [], {}
    total = len(config.sizes) * len(photos) * len(config.starts) * (1 + config.iterations)
    total += 2 * (1 + min(DELTAS_AFTER, config.iterations))
    with tqdm(total=total, unit="iteration", smoothing=0) as progress:

        def watch(_: Iteration) -> None:
            progress.update()

        try:
            for size, photo in itertools.product(config.sizes, photos):
                progress.set_description(f"{photo.stem}, {size} pixels")
                noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(config.seed))
                starts = {start: noise if start == "noise" else None for start in config.starts}
                races.append(race(photo, size, networks, loss, starts, config.iterations, shown, watch))
                deltas = deltas or deltas_of(races[0], next(iter(networks)), loss, config.iterations, watch)
        except KeyboardInterrupt:
            if not deltas:
                raise UserError("interrupted before the first photograph was finished: nothing is written") from None
            progress.write(f"interrupted: {len(races)} of {len(config.sizes) * len(photos)} are on the page")
    return races, deltas


def record(path: Path, network: Stylizer, races: Sequence[Race], starts: Sequence[str], iterations: int) -> None:
    """Write into a network's file how many iterations it is worth, by size and start."""
    numbers = {
        str(size): {start: median_worth(of_size, path.stem, start)[0] for start in starts}
        | {"of": iterations, "photographs": len(of_size)}
        for size, of_size in by_size(races).items()
    }
    facts = {"worth": network.metadata.get("worth", {}) | numbers}
    write_network(path, network.network, network.metadata | facts)
    print(f"recorded in {path}")


def check_comparison(config: DictConfig) -> None:
    """Raises UserError for a setting that no comparison can work with."""
    check_whole(config, "iterations", least=1)
    check_seed(config)
    check_switch(config, "record")
    check_sides(config, "sizes")
    check_names(config, "starts")
    if not set(config.starts) <= set(STARTS) or len(set(config.starts)) < len(config.starts):
        raise UserError(f"starts={config.starts}: give a list of {' and '.join(STARTS)}, starts=[noise]")
    if not OmegaConf.is_list(config.rivals):
        raise UserError(f"rivals={config.rivals}: give a list, rivals=[FILE,FILE]")


def photographs(given: str | None, output: Path) -> list[Path]:
    """What to paint: all below the folder `given` but what stands in the folder `output` below that, or the packaged.

    Raises:
        UserError: `given` is no folder, or holds no pictures.
    """
    photos = held_out_photos(given)
    if given and Path(str(given)).resolve() in output.resolve().parents:
        photos = [photo for photo in photos if output.resolve() not in photo.resolve().parents]
    return photos


def network_objective(metadata: dict[str, Any], picture: str | None) -> tuple[Style, PerceptualLoss]:
    """The objective of a network's training, with the content weight that it ended with, fast on this machine.

    Raises:
        UserError: its painting is neither a bundled one nor `picture`.
    """
    trained = metadata["style"]
    if not metadata["loss"]["style_weight"]:
        raise UserError("the network was trained without style: there is nothing to compare")
    painting = {"name": trained["name"], "image": picture, "size": metadata["style_size"]}
    give = f"the network was trained on {trained['source']}: give that picture with style.image=PATH"
    if not picture and trained["name"] not in bundled_names("models/styles"):
        raise UserError(give)
    weighted = metadata["loss"] | {"content_weight": metadata["content_weights"][trained["name"]]}
    style, loss = load_objective(OmegaConf.create(weighted), OmegaConf.create(painting))
    if style.sha256 != trained["sha256"]:
        raise UserError(give)
    if loss.vgg.identity != metadata["loss_network"]:
        raise UserError(f"the network was trained with {metadata['loss_network']}, and here is {loss.vgg.identity}")
    return style, fast_on_cpu(loss)


def rivals(paths: list[str], name: str, painting: dict[str, Any]) -> dict[str, Stylizer]:
    """Other networks by the names of their files, or by their paths where a name is taken.

    Raises:
        UserError: one is no network, or was trained on another painting.
    """
    found: dict[str, Stylizer] = {}
    for path in map(network_path, paths):
        taken = path.stem in {name, *found}
        rival = found[str(path) if taken else path.stem] = Stylizer.load(path)
        trained = rival.metadata["style"]
        if trained["sha256"] != painting["sha256"]:
            raise UserError(f"{path} was trained on {trained['title']}, not on {painting['title']}")
    return found


def deltas_of(race: Race, network: str, loss: PerceptualLoss, iterations: int, watch: Watch) -> dict[str, torch.Tensor]:
    """Pictures for a look at total variation: photograph, pastiche, and the optimizer's with and without that term."""
    without = copy.copy(loss)
    without.tv_weight = 0.0
    pictures = {"photograph": race.photo, f"pastiche ({network})": race.networks[network].picture}
    for name, objective in (("optimizer", loss), ("optimizer without total variation", without)):
        steps = min(DELTAS_AFTER, iterations)
        pictures[name] = optimize(objective, race.photo, race.photo, steps, "lbfgs", watch).picture
    return pictures


@torch.no_grad()
def grams_of(race: Race, loss: PerceptualLoss) -> dict[str, dict[str, torch.Tensor]]:
    """Gram matrices by layer of painting, photograph and each network's pastiche, (C, C) over H W."""
    pictures = {"photograph": race.photo} | {name: painted.picture for name, painted in race.networks.items()}
    layers = {layer: {"painting": loss.get_buffer(f"gram_{layer}")} for layer in loss.style_layers}
    for name, picture in pictures.items():
        features = loss.vgg(picture.contiguous(memory_format=torch.channels_last), loss.style_layers)
        for layer in layers:
            layers[layer][name] = gram_matrix(features[layer])[0]
    return layers


def print_numbers(config: DictConfig, races: list[Race]) -> None:
    """Print what each network is worth, per size and start, and what it gains on the photograph itself."""
    print(f"{'iterations that a network is worth':36}{'size':>6}{'start':>8}{'median':>8}{'range':>12}")
    for network in races[0].networks:
        for size, of_size in by_size(races).items():
            for start in config.starts:
                median, least, most = median_worth(of_size, network, start)
                print(f"{network:36}{size:6}{start:>8}{median:8g}{f'{least} to {most}':>12}")
            gain = median_gain(of_size, network)
            print(f"{network:36}{size:6}: the photograph's own objective is {gain:.2f} times the network's")
    print(f"{config.iterations} stands for as many or more; {len(by_size(races)[config.sizes[0]])} photographs")
