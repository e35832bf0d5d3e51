"""Processes for work side by side, which end with the process that made them."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from data_prep.threads import use_threads

__all__ = ["worker_processes"]


def worker_processes(
    count: int, threads: int = 1, begin: Callable[..., None] | None = None, *given: Any
) -> ProcessPoolExecutor:
    """Return an executor of `count` new processes.

    A process of a plain executor goes on when its maker is killed: with its work, and after that
    it waits for more, forever. These end then.

    Args:
        threads: computing threads of each.
        begin: called with `given` in each process before its first work; it can be pickled.
    """
    spawned = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, spawned, _begin, (threads, begin, given))


def _begin(threads: int, begin: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_maker, name="end-with-maker", daemon=True).start()
    use_threads(threads)
    if begin is not None:
        begin(*given)


def _end_with_maker() -> None:
    maker = multiprocessing.parent_process()
    if maker is not None:
        maker.join()
        os._exit(1)
