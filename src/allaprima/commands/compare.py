"""The comparison that every trained network must face, as one command: a page, a sheet, and a number of iterations."""

import copy
import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
from omegaconf import DictConfig
from pydantic import AfterValidator, Field
from tqdm import tqdm

from allaprima.commands.groups import LossSettings, StyleSettings
from allaprima.commands.objective import fast_on_cpu, load_objective
from allaprima.commands.paths import chosen_network
from allaprima.commands.settings import Seed, Settings, Sides, Text, Whole, unique
from allaprima.data.photos import held_out_photos, readable
from allaprima.errors import UserError
from allaprima.evaluation.comparison import PhotoComparison, by_size, compare_on_photo, median_equivalent, median_gain
from allaprima.evaluation.report import Report, write_report, write_sheet
from allaprima.hardware import keep_freed_memory
from allaprima.inference.stylizer import Stylizer
from allaprima.losses.gram import gram_matrix
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.losses.style import Style
from allaprima.media.bundled import bundled_names
from allaprima.media.painting import Painting
from allaprima.networks.files import network_path, write_network
from allaprima.networks.metadata import Metadata
from allaprima.optimization.image import Iteration, OnIteration, optimize

SHOWN = (50, 100, 500)
DELTAS_AFTER = 100  # iterations


class CompareSettings(Settings):
    """`configs/compare.yaml`."""

    style: StyleSettings
    seed: Seed
    model: Text | None
    rivals: list[Text]
    photos: Text | None
    sizes: Sides
    starts: Annotated[list[Literal["noise", "photo"]], Field(min_length=1), AfterValidator(unique)]
    iterations: Whole
    output: Text
    record: bool


def compare(config: DictConfig) -> Path:
    """Compare a network, and its rivals, with the optimizer; print `equivalent iterations N` last.

    Returns:
        The page's file; beside it stands the sheet.

    Raises:
        UserError: an option that cannot be done.
    """
    settings = CompareSettings.read(config)
    keep_freed_memory()
    path = chosen_network(settings)
    folder = Path(settings.output)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.record and not os.access(path.parent, os.W_OK):
        raise UserError(f"{path.parent} cannot be written to: leave out record=true")
    network = Stylizer.load(path, device="cpu")  # as the optimizer
    name = path.stem
    networks = {name: network} | rivals(settings.rivals, name, network.metadata.style)
    photos = readable(photographs(settings.photos, folder))
    style, loss = network_objective(network.metadata, settings.style.image)
    shown = [number for number in SHOWN if number < settings.iterations] + [settings.iterations]
    comparisons, deltas = compare_all(settings, photos, networks, loss, shown)
    print_numbers(settings, comparisons)
    report = Report(style, network.metadata, network.engine, comparisons, shown, deltas, grams_of(comparisons[0], loss))
    page, sheet = folder / f"{name}.html", folder / f"{name}.png"
    write_report(page, report)
    write_sheet(sheet, report)
    print(f"the page is {page}, the sheet {sheet}")
    if settings.record and len(comparisons) < len(settings.sizes) * len(photos):
        print(f"not recorded in {path}, since it is not the whole comparison")
    elif settings.record:
        record(path, network, comparisons, settings.starts, settings.iterations)
    smallest = next(iter(by_size(comparisons).values()))
    print(f"equivalent iterations {median_equivalent(smallest, name, settings.starts[0])[0]:g}")
    return page


def compare_all(
    settings: CompareSettings,
    photos: Sequence[Path],
    networks: Mapping[str, Stylizer],
    loss: PerceptualLoss,
    shown: Sequence[int],
) -> tuple[list[PhotoComparison], dict[str, torch.Tensor]]:
    """Every photograph at every size, and the pictures of `deltas_of`; interrupted, those that were finished.

    Raises:
        UserError: interrupted before the first was finished.
    """
    comparisons, deltas = [], {}
    total = len(settings.sizes) * len(photos) * len(settings.starts) * (1 + settings.iterations)
    total += 2 * (1 + min(DELTAS_AFTER, settings.iterations))
    with tqdm(total=total, unit="iteration", smoothing=0) as progress:

        def on_iteration(_: Iteration) -> None:
            progress.update()

        try:
            for size, photo in itertools.product(settings.sizes, photos):
                progress.set_description(f"{photo.stem}, {size} pixels")
                noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(settings.seed))
                starts = {start: noise if start == "noise" else None for start in settings.starts}
                comparisons.append(
                    compare_on_photo(photo, size, networks, loss, starts, settings.iterations, shown, on_iteration)
                )
                deltas = deltas or deltas_of(
                    comparisons[0], next(iter(networks)), loss, settings.iterations, on_iteration
                )
        except KeyboardInterrupt:
            if not deltas:
                raise UserError("interrupted before the first photograph was finished: nothing is written") from None
            progress.write(f"interrupted: {len(comparisons)} of {len(settings.sizes) * len(photos)} are on the page")
    return comparisons, deltas


def record(
    path: Path, network: Stylizer, comparisons: Sequence[PhotoComparison], starts: Sequence[str], iterations: int
) -> None:
    """Write its equivalent iterations into a network's file, by size and start."""
    numbers = {
        str(size): {start: median_equivalent(of_size, path.stem, start)[0] for start in starts}
        | {"of": iterations, "photographs": len(of_size)}
        for size, of_size in by_size(comparisons).items()
    }
    recorded = network.metadata.equivalent_iterations | numbers
    write_network(path, network.network, dataclasses.replace(network.metadata, equivalent_iterations=recorded))
    print(f"recorded in {path}")


def photographs(given: str | None, output: Path) -> list[Path]:
    """What to paint: all below the folder `given` but what stands in the folder `output` below that, or the packaged.

    Raises:
        UserError: `given` is no folder, or holds no pictures.
    """
    photos = held_out_photos(given)
    if given and Path(given).resolve() in output.resolve().parents:
        photos = [photo for photo in photos if output.resolve() not in photo.resolve().parents]
    return photos


def network_objective(metadata: Metadata, picture: str | None) -> tuple[Style, PerceptualLoss]:
    """The objective of a network's training, with the content weight that it ended with, fast on this machine.

    Raises:
        UserError: its painting is neither a bundled one nor `picture`, or it was not trained towards one.
    """
    trained = metadata.style
    give = f"the network was trained on {trained.source}: give that picture with style.image=PATH"
    if not picture and trained.name not in bundled_names("models/styles"):
        raise UserError(give)
    weight = metadata.content_weights.get(trained.name, metadata.loss.get("content_weight"))
    loss = LossSettings.checked(metadata.loss | {"content_weight": weight})
    if not loss.style_weight:
        raise UserError("the network was trained without style: there is nothing to compare")
    described = {key: value for key, value in dataclasses.asdict(trained).items() if key != "sha256"}
    painting = StyleSettings.checked(described | {"image": picture, "size": metadata.style_size})
    style, objective = load_objective(loss, painting)
    if not style.same_as(trained):
        raise UserError(give)
    if objective.vgg.identity != metadata.loss_network:
        raise UserError(f"the network was trained with {metadata.loss_network}, and here is {objective.vgg.identity}")
    return style, fast_on_cpu(objective)


def rivals(paths: list[str], name: str, painting: Painting) -> dict[str, Stylizer]:
    """Other networks by the names of their files, or by their paths where a name is taken.

    Raises:
        UserError: one is no network, or was trained on another painting.
    """
    found: dict[str, Stylizer] = {}
    for path in map(network_path, paths):
        taken = path.stem in {name, *found}
        rival = found[str(path) if taken else path.stem] = Stylizer.load(path, device="cpu")
        trained = rival.metadata.style
        if not trained.same_as(painting):
            raise UserError(f"{path} was trained on {trained.title}, not on {painting.title}")
    return found


def deltas_of(
    comparison: PhotoComparison, network: str, loss: PerceptualLoss, iterations: int, on_iteration: OnIteration
) -> dict[str, torch.Tensor]:
    """Pictures for a look at total variation: photograph, pastiche, and the optimizer's with and without that term."""
    without = copy.copy(loss)
    without.tv_weight = 0.0
    pictures = {"photograph": comparison.photo, f"pastiche ({network})": comparison.networks[network].picture}
    for name, objective in (("optimizer", loss), ("optimizer without total variation", without)):
        steps = min(DELTAS_AFTER, iterations)
        pictures[name] = optimize(objective, comparison.photo, comparison.photo, steps, "lbfgs", on_iteration).picture
    return pictures


@torch.no_grad()
def grams_of(comparison: PhotoComparison, loss: PerceptualLoss) -> dict[str, dict[str, torch.Tensor]]:
    """Gram matrices by layer of painting, photograph and each network's pastiche, (C, C) over H W."""
    pictures = {"photograph": comparison.photo} | {
        name: painted.picture for name, painted in comparison.networks.items()
    }
    layers = {layer: {"painting": loss.get_buffer(f"gram_{layer}")} for layer in loss.style_layers}
    for name, picture in pictures.items():
        features = loss.vgg(picture, loss.style_layers)
        for layer in layers:
            layers[layer][name] = gram_matrix(features[layer])[0]
    return layers


def print_numbers(settings: CompareSettings, comparisons: list[PhotoComparison]) -> None:
    """Print the equivalent iterations of each network, and what it gains on the photograph itself."""
    print(f"{'equivalent iterations':36}{'size':>6}{'start':>8}{'median':>8}{'range':>12}")
    for network in comparisons[0].networks:
        for size, of_size in by_size(comparisons).items():
            for start in settings.starts:
                median, least, most = median_equivalent(of_size, network, start)
                print(f"{network:36}{size:6}{start:>8}{median:8g}{f'{least} to {most}':>12}")
            gain = median_gain(of_size, network)
            print(f"{network:36}{size:6}: the photograph's own objective is {gain:.2f} times the network's")
    print(
        f"{settings.iterations} stands for as many or more; {len(by_size(comparisons)[settings.sizes[0]])} photographs"
    )
