"""The comparison that every trained network must face, as one command: a page, a sheet, and a number of iterations."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
from omegaconf import DictConfig
from pydantic import AfterValidator, Field
from tqdm import tqdm

from allaprima.commands.network_choice import NetworkChoice
from allaprima.data.photos import readable
from allaprima.errors import UserError
from allaprima.evaluation.comparison import (
    DELTAS_AFTER,
    Painter,
    PhotoComparison,
    by_size,
    calm_to_bold,
    compare_on_photo,
    delta_pictures,
    gram_matrices,
    median_equivalent,
    median_gain,
    trained_objective,
)
from allaprima.evaluation.report import Report
from allaprima.hardware import keep_freed_memory
from allaprima.inference.stylizer import Stylizer
from allaprima.limits import PositiveInt, Seed, Sides, Text, unique
from allaprima.losses.perceptual import PerceptualLoss
from allaprima.media.files import check_writable
from allaprima.media.inputs import held_out_photos
from allaprima.media.painting import Painting
from allaprima.networks.base import BOLDEST, BOLDNESS
from allaprima.networks.files import network_path, write_network
from allaprima.optimization.image import Iteration

SHOWN = (50, 100, 500)


class CompareSettings(NetworkChoice):
    """`configs/compare.yaml`."""

    seed: Seed
    rivals: list[Text]
    photos: Text | None
    sizes: Sides
    starts: Annotated[list[Literal["noise", "photo"]], Field(min_length=1), AfterValidator(unique)]
    iterations: PositiveInt
    output: Text
    record: bool
    boldness: Annotated[float, Field(ge=0, le=BOLDEST)] | None


def compare(config: DictConfig) -> Path:
    """Compare a network, and its rivals, with the optimizer; print `equivalent iterations N` last; the page's file."""
    settings = CompareSettings.read(config)
    keep_freed_memory()
    path = settings.network_file()
    folder = Path(settings.output)
    page = folder / f"{path.stem}.html"
    check_writable(page)
    if settings.record and not os.access(path.parent, os.W_OK):
        raise UserError(f"{path.parent} cannot be written to: leave out record=true")
    network = Stylizer.load(path, settings.style.name, device="cpu")  # as the optimizer
    if settings.record and len(network.metadata.paintings) > 1:
        raise UserError(f"{path} has several paintings: leave out record=true")
    if settings.boldness is not None and network.network.levels == 1:
        raise UserError(f"the network of {network.metadata.title} has one boldness: leave out boldness=")
    networks = {path.stem: network} | load_rivals(settings.rivals, path.stem, network.painting)
    photos = list(readable(held_out_photos(settings.photos, folder)))
    boldness = BOLDNESS if settings.boldness is None else settings.boldness
    style, loss = trained_objective(network.metadata, network.painting, settings.style.image, boldness)
    shown = [number for number in SHOWN if number < settings.iterations] + [settings.iterations]
    painters = {
        name: functools.partial(each, boldness=settings.boldness if each.network.levels > 1 else None)
        for name, each in networks.items()
    }
    comparisons, deltas = compare_all(settings, photos, painters, loss, shown)
    print_numbers(settings, comparisons)
    grams = gram_matrices(comparisons[0], loss)
    bold = calm_to_bold(network, comparisons[0].photo)
    report = Report(
        style, network.metadata, network.engine, loss.content_weight, comparisons, shown, deltas, bold, grams
    )
    report.write(page)
    report.write_sheet(page.with_suffix(".png"))
    print(f"the page is {page}, the sheet {page.with_suffix('.png')}")
    if settings.record and len(comparisons) < len(settings.sizes) * len(photos):
        print(f"not recorded in {path}, since it is not the whole comparison")
    elif settings.record:
        record(path, network, comparisons, settings)
    smallest = next(iter(by_size(comparisons).values()))
    print(f"equivalent iterations {median_equivalent(smallest, path.stem, settings.starts[0])[0]:g}")
    return page


def compare_all(
    settings: CompareSettings, photos: list[Path], painters: dict[str, Painter], loss: PerceptualLoss, shown: list[int]
) -> tuple[list[PhotoComparison], dict[str, torch.Tensor]]:
    """Every photograph at every size, and the pictures of `delta_pictures`; interrupted, those that were finished."""
    comparisons: list[PhotoComparison] = []
    deltas: dict[str, torch.Tensor] = {}
    total = len(settings.sizes) * len(photos) * len(settings.starts) * (1 + settings.iterations)
    total += 2 * (1 + min(DELTAS_AFTER, settings.iterations))
    with tqdm(total=total, unit="iteration", smoothing=0) as progress:

        def advance(_: Iteration) -> None:
            progress.update()

        try:
            for size, photo in itertools.product(settings.sizes, photos):
                progress.set_description(f"{photo.stem}, {size} pixels")
                noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(settings.seed))
                starts = {start: noise if start == "noise" else None for start in settings.starts}
                budget = settings.iterations, shown, advance
                comparisons.append(compare_on_photo(photo, size, painters, loss, starts, *budget))
                first_network = next(iter(painters))
                deltas = deltas or delta_pictures(comparisons[0], first_network, loss, settings.iterations, advance)
        except KeyboardInterrupt:
            if not deltas:
                raise UserError("interrupted before the first photograph was finished: nothing is written") from None
            progress.write(f"interrupted: {len(comparisons)} of {len(settings.sizes) * len(photos)} are on the page")
    return comparisons, deltas


def record(path: Path, network: Stylizer, comparisons: Sequence[PhotoComparison], settings: CompareSettings) -> None:
    """Write its equivalent iterations, by size and start, into a network's file."""
    recorded = dict(network.metadata.equivalent_iterations)
    for size, of_size in by_size(comparisons).items():
        medians = {start: median_equivalent(of_size, path.stem, start)[0] for start in settings.starts}
        recorded[str(size)] = medians | {"of": settings.iterations, "photographs": len(of_size)}
    write_network(path, network.network, dataclasses.replace(network.metadata, equivalent_iterations=recorded))
    print(f"recorded in {path}")


def load_rivals(paths: list[str], name: str, painting: Painting) -> dict[str, Stylizer]:
    """Other networks of the painting by the names of their files, or by their paths where a name is taken."""
    found: dict[str, Stylizer] = {}
    for path in map(network_path, paths):
        taken = path.stem in {name, *found}
        rival = found[str(path) if taken else path.stem] = Stylizer.load(path, painting.name, device="cpu")
        trained = rival.painting
        if not trained.same_as(painting):
            raise UserError(f"{path} was trained on {trained.title}, not on {painting.title}")
    return found


def print_numbers(settings: CompareSettings, comparisons: list[PhotoComparison]) -> None:
    """Print the equivalent iterations of each network, and what it gains on the photograph itself."""
    print(f"{'equivalent iterations':36}{'size':>6}{'start':>8}{'median':>8}{'range':>12}")
    sizes = by_size(comparisons)
    for network in comparisons[0].networks:
        for size, of_size in sizes.items():
            for start in settings.starts:
                median, least, most = median_equivalent(of_size, network, start)
                print(f"{network:36}{size:6}{start:>8}{median:8g}{f'{least} to {most}':>12}")
            gain = median_gain(of_size, network)
            print(f"{network:36}{size:6}: the photograph's own objective is {gain:.2f} times the network's")
    print(f"{settings.iterations} stands for that or more; {len(sizes[settings.sizes[0]])} photographs")
