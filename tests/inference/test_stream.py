import threading

import pytest

from allaprima.errors import UserError
from allaprima.inference.stream import DEPTH, prefetch, write_behind


def test_queues_are_bounded():
    made, used = [], []
    gate = threading.Semaphore(0)

    def source():
        for number in range(40):
            made.append(number)
            yield number

    def use(number):
        gate.acquire()
        used.append(number)

    for taken, _ in enumerate(write_behind(use, prefetch(source())), 1):
        assert len(made) <= taken + DEPTH + 1
        assert taken - len(used) <= DEPTH + 2
        gate.release()
    assert used == made == list(range(40))


def test_errors_in_threads():
    def source():
        yield 1
        raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        list(prefetch(source()))
    with pytest.raises(ZeroDivisionError):
        list(write_behind(lambda number: 1 / number, [1, 0, 1]))
