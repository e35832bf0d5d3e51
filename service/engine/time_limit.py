"""A time-out that is the same for all requests, so that one timer serves them all."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType

from service.engine.problem_error import ProblemError

__all__ = ["TimeLimit", "Timed", "stalled"]


def late(seconds: float) -> ProblemError:
    """Return the problem of a request that was not answered in time."""
    return ProblemError(
        503,
        f"no answer within {seconds:g} s; send the request again: registered items keep their IDs",
        headers={"Retry-After": "1"},
    )


def stalled(seconds: float) -> ProblemError:
    """Return the problem of a request whose body has stalled."""
    return ProblemError(
        408, f"no part of the body arrived for {seconds:g} s; send the request again"
    )


class TimeLimit:
    """Ends a block with a problem if it takes longer than a number of seconds.

    All blocks have the same time-out, so they run out in the order in which they began, and one
    timer for the oldest block is enough. A timer for each request, as `asyncio.timeout` sets it,
    takes longer than many answers. All blocks must run in one event loop at a time.
    """

    def __init__(self, seconds: float, problem: Callable[[float], ProblemError] = late) -> None:
        """Give each block `seconds` seconds.

        Args:
            problem: takes the seconds and returns the error that ends a block which is late.
        """
        self.seconds = seconds
        self.problem = problem
        self._ends: OrderedDict[Timed, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> "Timed":
        """Return the context of one block.

        Raises, if the block takes longer:
            ProblemError: the result of `problem`; 503 by default.
        """
        return Timed(self)

    def begin(self, timed: "Timed") -> None:
        """Start the time-out of a block."""
        loop = asyncio.get_running_loop()
        self._ends[timed] = end = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._run_out, loop)

    def end(self, timed: "Timed") -> None:
        """Stop the time-out of a block."""
        del self._ends[timed]
        if not self._ends and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for timed, end in list(self._ends.items()):
            if end > now:
                self._timer = loop.call_at(end, self._run_out, loop)
                return
            del self._ends[timed]
            timed.run_out()


class Timed:
    """The context of one block, in one task."""

    __slots__ = ("_cancelling", "_limit", "_ran_out", "_task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._ran_out = False
        self._cancelling = task.cancelling()
        self._limit.begin(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._ran_out:
            self._limit.end(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._limit.problem(self._limit.seconds) from error

    def run_out(self) -> None:
        """Cancel the block's task; on exit the block raises the problem."""
        self._ran_out = True
        self._task.cancel()
