"""Run a study's cells one after the other, or side by side in processes of their own."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context
from types import TracebackType
from typing import Any, Self, TypeVar

from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.threads import available_threads, use_threads

__all__ = ["Workers"]

Result = TypeVar("Result")


class Workers:
    """A number of processes that cells run in; 1 runs them in this process.

    Processes share the processor's cores evenly, and stay from call to call, so that what a cell's
    module keeps (images on a GPU, say) is loaded once in each. Use it in a `with` statement.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._before = {child.pid for child in active_children()}

    def __enter__(self) -> Self:
        if self.jobs > 1:
            self._pool = ProcessPoolExecutor(
                self.jobs,
                mp_context=get_context("spawn"),  # a forked process cannot use a GPU
                initializer=_begin,
                initargs=(max(1, available_threads() // self.jobs),),
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:  # do not wait for the cells that run
            for child in active_children():
                if child.pid not in self._before:
                    child.terminate()

    def run(
        self,
        function: Callable[..., Result],
        arguments: Sequence[tuple[Any, ...]],
        progress: Progress | None = None,
    ) -> list[Result]:
        """Return the function's results, one for each tuple of arguments, in their order.

        Args:
            function: of a module, so that a process can import it.

        Raises:
            InputError: a process ended, most likely for want of memory.
        """
        found: dict[int, Result] = {}
        for index, result in self._done(function, arguments):
            found[index] = result
            if progress is not None:
                progress(1)
        return [found[index] for index in range(len(arguments))]

    def _done(
        self, function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        if self._pool is None:
            for index, given in enumerate(arguments):
                yield index, function(*given)
            return
        futures = {
            self._pool.submit(function, *given): index for index, given in enumerate(arguments)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"one of {self.jobs} processes ended, most likely for want of memory; start the "
                f"same command with fewer --jobs, and it goes on"
            ) from error


def _begin(threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process answers
    use_threads(threads)
