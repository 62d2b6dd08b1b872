"""Measuring contenders in turn, so that what else the machine does falls on all of them alike."""

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from tqdm import trange

Result = TypeVar("Result")


def in_turn(contenders: Mapping[str, Callable[[Any], Result]], settings: Any) -> dict[str, list[Result]]:
    """What each contender returns in each of `benchmark.rounds` rounds, every time from a fresh process."""
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    for _ in trange(settings.benchmark.rounds, desc="rounds"):
        for name, measure in contenders.items():
            results[name].append(apart(measure, settings))
    return results


def apart(measure: Callable[[Any], Result], settings: Any) -> Result:
    """What `measure` returns in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, settings).result()
