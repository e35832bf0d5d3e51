"""Engines that run one worker over many pieces: here, in several processes, or on Ray."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import polars as pl

from data_prep.errors import InputError
from data_prep.parts.items import Piece
from data_prep.processes import worker_processes
from data_prep.threads import available_threads

__all__ = ["Engine", "EngineName", "Worker", "engine"]

EngineName = Literal["local", "ray"]
Worker = Callable[[Piece], pl.DataFrame]


class Engine(Protocol):
    """Runs a worker over pieces."""

    def run(
        self, make: Callable[[], Worker], pieces: Sequence[Piece]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield each piece's number and table, in the order in which they are ready.

        Args:
            make: makes a worker, once in each process; it can be pickled.

        Raises:
            InputError: a worker raised it, or a process ended.
        """


def engine(name: EngineName, workers: int, device: str) -> Engine:
    """Return an engine.

    Args:
        workers: processes that hold a model each; 0 for one here, or for as many as a Ray cluster
            has cores or GPUs for.
        device: of the models.

    Raises:
        InputError: Ray is not installed, or its cluster cannot be reached.
    """
    if name == "ray":
        from data_prep.parts.ray_engine import RayEngine

        return RayEngine(workers, device)
    return _Here() if workers < 2 else _Processes(workers)


class _Here:
    """Runs the worker in the calling process."""

    def run(
        self, make: Callable[[], Worker], pieces: Sequence[Piece]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        if pieces:
            work = make()
            yield from ((piece.number, work(piece)) for piece in pieces)


@dataclass(frozen=True)
class _Processes:
    """Processes of this machine, which share its cores."""

    workers: int

    def run(
        self, make: Callable[[], Worker], pieces: Sequence[Piece]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        threads = max(1, available_threads() // self.workers)
        left = list(reversed(pieces))
        processes = min(self.workers, max(1, len(left)))
        with worker_processes(processes, threads, _begin, make) as pool:
            running: set[Future[tuple[int, pl.DataFrame]]] = set()
            try:
                while left or running:
                    while left and len(running) <= self.workers:  # a few wait, few tables gather
                        running.add(pool.submit(_work, left.pop()))
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (one.result() for one in done)
            except BrokenProcessPool as error:
                raise InputError(
                    "a worker process was ended from outside, perhaps for want of memory; the same "
                    "command goes on from the parts that are there; give fewer --workers"
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


_held: dict[str, Any] = {}


def _begin(make: Callable[[], Worker]) -> None:
    _held["make"] = make


def _work(piece: Piece) -> tuple[int, pl.DataFrame]:
    # Made here, not in `_begin`, so that an error of the user's input arrives as such.
    if "worker" not in _held:
        _held["worker"] = _held["make"]()
    return piece.number, _held["worker"](piece)
