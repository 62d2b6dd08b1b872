"""Frame after frame: some are read and written, each in a thread of its own, while one is painted."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

DEPTH = 4  # frames that wait on each side at most, so that memory does not grow with the clip
END = object()


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, of which the next ones are made while one is used; an error comes where its item would."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as thread:
        pending = deque(thread.submit(next, iterator, END) for _ in range(DEPTH))
        try:
            while (item := pending.popleft().result()) is not END:
                pending.append(thread.submit(next, iterator, END))
                yield item
        finally:
            thread.shutdown(cancel_futures=True)


def write_behind(use: Callable[[Item], object], items: Iterable[Item]) -> Iterator[None]:
    """Use every item while the next ones are made, step by step; what `use` raises comes some items later."""
    with ThreadPoolExecutor(1) as thread:
        pending: deque = deque()
        for item in items:
            pending.append(thread.submit(use, item))
            if len(pending) > DEPTH:
                pending.popleft().result()
            yield
        while pending:
            pending.popleft().result()
