"""Measuring contenders in turn, so that what else the machine does falls on all of them alike."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from tqdm import trange

Result = TypeVar("Result")


def in_turn(contenders: Mapping[str, Callable[[Any], Result]], settings: Any) -> dict[str, list[Result]]:
    """What each contender returns in each of `benchmark.rounds` rounds, every time from a fresh process."""
    results: dict[str, list[Result]] = {name: [] for name in contenders}
    for _ in trange(settings.benchmark.rounds, desc="rounds"):
        for name, contender in contenders.items():
            results[name].append(in_fresh_process(contender, settings))
    return results


def in_fresh_process(function: Callable[[Any], Result], settings: Any) -> Result:
    """What a function returns in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=end_with_parent) as process:
        return process.submit(function, settings).result()


def end_with_parent() -> None:
    """Let this process end when the one that began it does, killed or not."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
