"""Micro-batches."""

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from service.engine.batching import Batcher
from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit


class _Work:
    """Doubles numbers once it is let; a job of -1 is an error, of -2 one that concerns all."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.free = threading.Event()

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.free.wait(10)
        self.threads.add(threading.get_ident())
        self.batches.append(list(jobs))
        if -2 in jobs:
            raise ConnectionError("for all")
        if -1 in jobs:
            raise ValueError("for one")
        return [2 * job for job in jobs]


@pytest.fixture
def work() -> _Work:
    return _Work()


def test_jobs_that_wait_are_done_together_in_one_thread(work: _Work) -> None:
    """The first makes a batch alone; what comes while it is done fills the next ones."""
    told: list[int] = []
    batcher = Batcher("test", work, most=4, on_batch=lambda waited, size: told.append(size))

    async def main() -> list[int]:
        first = asyncio.ensure_future(batcher.do(0))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(batcher.do(number)) for number in range(1, 7)]
        await asyncio.sleep(0.05)
        assert batcher.waiting == 6
        work.free.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8, 10, 12]
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert told == [1, 4, 2]
    assert len(work.threads) == 1
    assert threading.get_ident() not in work.threads
    batcher.close()


def test_an_idle_thread_waits_for_more_up_to_size(work: _Work) -> None:
    work.free.set()
    batcher = Batcher("test", work, most=3, wait=0.5)

    async def main(number: int) -> float:
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(batcher.do(job) for job in range(number)))
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(main(2)) >= 0.49
    assert asyncio.run(main(3)) < 0.49
    assert work.batches == [[0, 1], [0, 1, 2]]
    batcher.close()


def test_a_jobs_size_counts_and_a_larger_one_goes_alone(work: _Work) -> None:
    batcher = Batcher("test", work, most=4)

    async def main() -> None:
        jobs = [batcher.do(0), batcher.do(1, 3), batcher.do(2, 2), batcher.do(3, 9)]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        await asyncio.sleep(0.05)
        work.free.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert work.batches == [[0, 1], [2], [3]]
    batcher.close()


def test_an_error_is_that_of_one_job(work: _Work) -> None:
    work.free.set()
    batcher = Batcher("test", work, most=9, wait=0.01, for_all=(ConnectionError,))

    async def main(*jobs: int) -> list[object]:
        done = (batcher.do(job) for job in jobs)
        return [repr(result) for result in await asyncio.gather(*done, return_exceptions=True)]

    assert asyncio.run(main(1, -1, 3)) == ["2", "ValueError('for one')", "6"]
    assert work.batches == [[1, -1, 3], [1], [-1], [3]]
    assert asyncio.run(main(1, -2)) == ["ConnectionError('for all')"] * 2
    assert work.batches[4:] == [[1, -2]]
    batcher.close()


def test_a_job_that_is_given_up_before_its_batch_is_not_done(work: _Work) -> None:
    batcher = Batcher("test", work, most=1)

    async def main() -> None:
        first = asyncio.ensure_future(batcher.do(1))
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError, match=r"no answer within 0.05 s") as late:
            async with TimeLimit(0.05)():
                await batcher.do(2)
        assert late.value.status == 503
        last = asyncio.ensure_future(batcher.do(3))
        work.free.set()
        assert list(await asyncio.gather(first, last)) == [2, 6]
        assert batcher.waiting == 0

    asyncio.run(main())
    assert work.batches == [[1], [3]]
    batcher.close()


def test_batches_done_side_by_side_are_answered_in_order() -> None:
    began: list[float] = []

    def work(seconds: Sequence[float]) -> list[float]:
        began.append(time.perf_counter())
        time.sleep(seconds[0])
        return list(seconds)

    async def main() -> list[float]:
        batcher = Batcher[float, float]("test", work, 1, threads=2)
        answered: list[float] = []

        async def ask(seconds: float) -> None:
            answered.append(await batcher.do(seconds))

        await asyncio.gather(*(ask(seconds) for seconds in (0.6, 0.0, 0.1)))
        batcher.close()
        return answered

    assert asyncio.run(main()) == [0.6, 0.0, 0.1]
    assert began[1] - began[0] < 0.6
