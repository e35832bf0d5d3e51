"""The cells of a study, trainings that do not depend on each other: in turn or side by side."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from data_prep.processes import worker_processes

__all__ = ["Mapped", "OutOfTimeError", "in_turn", "side_by_side"]

Cell = TypeVar("Cell")
Result = TypeVar("Result")


class Mapped(Protocol):
    """Makes cells, as `map` does, and returns their results in the cells' order."""

    def __call__(
        self, make: Callable[[Cell], Result], cells: Iterable[Cell], /
    ) -> Iterable[Result]: ...


class OutOfTimeError(Exception):
    """The time for new cells is over."""


def in_turn() -> Mapped:
    """Return a map that makes one cell at a time, whatever number of threads use it.

    Trainings in one process share torch's random state.
    """
    lock = threading.Lock()

    def mapped(make: Callable[[Cell], Result], cells: Iterable[Cell]) -> list[Result]:
        with lock:
            return [make(cell) for cell in cells]

    return mapped


@contextmanager
def side_by_side(jobs: int, until: float = float("inf")) -> Iterator[Mapped]:
    """Yield a map that makes cells in `jobs` processes of one computing thread each.

    A process makes many cells, one after the other. Several threads may use the map at once.

    Args:
        until: when no cell starts any more, in seconds as `time.time`. A cell that would start
            later raises `OutOfTimeError`; cells that run then are finished.
    """
    pool = worker_processes(jobs)
    try:
        yield lambda make, cells: pool.map(partial(_make, make, until), cells)
    finally:
        pool.shutdown(cancel_futures=True)


def _make(make: Callable[[Cell], Result], until: float, cell: Cell) -> Result:
    if time.time() >= until:
        raise OutOfTimeError
    return make(cell)
