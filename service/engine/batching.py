"""Micro-batches: a thread does the work of several requests together."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from data_prep.embedding.batch_invariance import computing_threads

__all__ = ["Batcher"]

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class _Waiting(Generic[J, R]):
    job: J
    size: int
    future: asyncio.Future[R]
    since: float


class Batcher(Generic[J, R]):
    """Runs jobs in its own threads and puts the waiting ones into one batch.

    While all threads are busy, the next batch gathers. Jobs are answered in the order in which they
    arrived: so items of one bulk with the same codes get suffixes in the order of their lines,
    however many threads encode them. All jobs must come from one event loop.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[J]], Sequence[R]],
        most: int,
        wait: float = 0.0,
        start: Callable[[], object] = lambda: None,
        for_all: tuple[type[Exception], ...] = (),
        on_batch: Callable[[Sequence[float], int], None] = lambda waited, size: None,
        threads: int = 1,
    ) -> None:
        """Start idle.

        Args:
            name: the threads' name.
            work: returns one result for each job. If it raises, each job is run again alone, so
                that only the job with the fault fails.
            most: largest size of a batch; a larger job is a batch of its own.
            wait: seconds that a batch waits for more jobs if it is not full.
            start: called first in each thread; torch computes with one thread there.
            for_all: errors of `work` that concern every job; the jobs are not run again alone.
            on_batch: called when a batch starts, with each job's seconds of waiting and the batch's
                size.
            threads: number of batches that run at a time.
        """
        self._work = work
        self._most = most
        self._wait = wait
        self._for_all = for_all
        self._on_batch = on_batch
        self._jobs: deque[_Waiting[J, R]] = deque()
        self._size = 0
        self._free = threads
        self._begun: deque[tuple[list[_Waiting[J, R]], Future[Sequence[R | Exception]]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._threads = computing_threads(threads, f"semid-{name}", start)

    @property
    def waiting(self) -> int:
        """The total size of the jobs that are in no batch yet."""
        return self._size

    async def do(self, job: J, size: int = 1) -> R:
        """Return the job's result; a job that is cancelled before its batch starts is not run.

        Raises:
            Exception: the error that `work` raises for this job.
        """
        loop = asyncio.get_running_loop()
        waiting: _Waiting[J, R] = _Waiting(job, size, loop.create_future(), time.perf_counter())
        self._jobs.append(waiting)
        self._size += size
        self._gather(loop)
        return await waiting.future

    def close(self) -> None:
        """Finish the running batches and end the threads."""
        self._threads.shutdown()

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start a batch if a thread is free: a full one now, any other after the wait."""
        if not self._free or not self._jobs:
            return
        if self._size >= self._most:
            if self._timer is not None:
                self._timer.cancel()
            self._start()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait, self._start)

    def _start(self) -> None:
        self._timer = None
        batch = self._take()
        if not batch:
            return
        self._free -= 1
        now = time.perf_counter()
        self._on_batch([now - waiting.since for waiting in batch], sum(w.size for w in batch))
        loop = asyncio.get_running_loop()
        done = self._threads.submit(self._done, [waiting.job for waiting in batch])
        self._begun.append((batch, done))
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._finish, loop))
        self._gather(loop)

    def _take(self) -> list[_Waiting[J, R]]:
        batch: list[_Waiting[J, R]] = []
        size = 0
        while self._jobs and (not batch or size + self._jobs[0].size <= self._most):
            waiting = self._jobs.popleft()
            self._size -= waiting.size
            if not waiting.future.done():
                batch.append(waiting)
                size += waiting.size
        return batch

    def _done(self, jobs: Sequence[J]) -> Sequence[R | Exception]:
        try:
            return self._work(jobs)
        except Exception as error:  # noqa: BLE001 - any error is a job's answer
            if len(jobs) == 1 or isinstance(error, self._for_all):
                return [error] * len(jobs)
        return [self._done([job])[0] for job in jobs]

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer finished batches, but only in the order in which they started."""
        self._free += 1
        while self._begun and self._begun[0][1].done():
            batch, done = self._begun.popleft()
            for waiting, result in zip(batch, done.result(), strict=True):
                if waiting.future.done():
                    continue
                if isinstance(result, Exception):
                    waiting.future.set_exception(result)
                else:
                    waiting.future.set_result(result)
        self._gather(loop)
