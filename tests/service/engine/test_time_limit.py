"""Time-outs by one timer: each block has its own seconds, and ends as its task would."""

import asyncio
import time

import pytest

from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit


async def _waits(limit: TimeLimit, before: float, needs: float) -> tuple[str, float]:
    await asyncio.sleep(before)
    began = time.perf_counter()
    try:
        async with limit():
            await asyncio.sleep(needs)
    except ProblemError as error:
        return str(error.status), time.perf_counter() - began
    return "done", time.perf_counter() - began


def test_each_block_has_its_own_seconds() -> None:
    limit = TimeLimit(0.5)

    async def main() -> list[tuple[str, float]]:
        asked = ((0.0, 0.1), (0.0, 9.0), (0.1, 9.0), (0.3, 0.1), (0.6, 9.0), (1.2, 9.0))
        return await asyncio.gather(*(_waits(limit, *one) for one in asked))

    ended = asyncio.run(main())
    assert [how for how, _ in ended] == ["done", "503", "503", "done", "503", "503"]
    assert all(0.49 < took < 5 for how, took in ended if how == "503")


def test_a_task_that_ran_out_goes_on_as_before() -> None:
    limit = TimeLimit(0.02)

    async def main() -> tuple[int, list[str]]:
        with pytest.raises(ProblemError, match=r"no answer within 0.02 s"):
            async with limit():
                await asyncio.sleep(5)
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0.05)  # nothing is left that cancels it
        return task.cancelling(), [(await _waits(limit, 0, needs))[0] for needs in (0, 5)]

    assert asyncio.run(main()) == (0, ["done", "503"])


def test_what_ends_a_block_otherwise_is_not_taken_for_a_time_out() -> None:
    limit = TimeLimit(5)

    async def main() -> str:
        with pytest.raises(ValueError, match="its own"):
            async with limit():
                raise ValueError("its own")
        cancelled = asyncio.create_task(_waits(limit, 0, 5))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return (await _waits(limit, 0, 0))[0]

    assert asyncio.run(main()) == "done"


def test_a_limit_serves_one_loop_after_another() -> None:
    limit = TimeLimit(0.02)
    for _ in range(2):
        assert asyncio.run(_waits(limit, 0, 0))[0] == "done"
        assert asyncio.run(_waits(limit, 0, 5))[0] == "503"
