"""The gate: so many items wait, and no more."""

import asyncio

import pytest

from service.engine.admission import Admission
from service.engine.problem_error import ProblemError


def test_the_gate_counts_items_not_requests() -> None:
    gate = Admission(10, timeout=1)
    with gate.admitted(9):
        gate.check(1)
        with pytest.raises(ProblemError, match="9 items wait, and the limit is 10") as refused:
            gate.check(2)
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
    with gate.admitted(11), pytest.raises(ProblemError), gate.admitted(1):
        pass
    assert gate.items == 0


def test_who_waits_at_the_gate_goes_on_when_there_is_room() -> None:
    gate = Admission(10, timeout=5)

    async def main() -> None:
        with gate.admitted(10):
            waiting = asyncio.ensure_future(gate.wait_for(5))
            await asyncio.sleep(0.02)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 1)
        gate.check(5)

    asyncio.run(main())


def test_who_waits_too_long_at_the_gate_is_sent_away() -> None:
    gate = Admission(10, timeout=0.02)

    async def main() -> None:
        with gate.admitted(10):
            await gate.wait_for(5)
            with pytest.raises(ProblemError):
                gate.check(5)

    asyncio.run(main())
