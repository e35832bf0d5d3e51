"""Limits how many items wait for an answer, and how long."""

import asyncio
import math
import time
from types import TracebackType

from service.engine.problem_error import ProblemError
from service.engine.time_limit import Timed, TimeLimit

__all__ = ["Admission"]

LONGEST_RETRY = 60  # seconds


class Admission:
    """Admits items up to a limit and refuses the rest at once.

    Attributes:
        items: number of admitted items that have no answer yet.
        in_time: applies the timeout to a block.
    """

    def __init__(self, most: int, timeout: float) -> None:
        """Start empty.

        Args:
            most: largest number of admitted items; a larger request is admitted if nothing waits.
            timeout: seconds after which `wait_for`, `answering` and `in_time` end.
        """
        self.most = most
        self.items = 0
        self.in_time = TimeLimit(timeout)
        self._took = 1.0
        self._left = asyncio.Event()

    def check(self, items: int = 1) -> None:
        """Check that there is room.

        Raises:
            ProblemError: 429; its Retry-After is the time that the last answer took, because a
                full queue needs about as long.
        """
        if not self._has_room(items):
            seconds = min(max(math.ceil(self._took), 1), LONGEST_RETRY)
            raise ProblemError(
                429,
                f"{self.items} items wait, and the limit is {self.most}; send these {items} again "
                f"in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    def admitted(self, items: int) -> "_Admitted":
        """Return a context that counts items as admitted; entering it raises as `check`."""
        return _Admitted(self, items)

    def answering(self, items: int) -> "_Answering":
        """Return a context that counts items as admitted and applies the timeout.

        Raises, on entry or exit:
            ProblemError: 429 as `check`; 503, the block takes longer than the timeout.
        """
        return _Answering(self.admitted(items), self.in_time())

    def enter(self, items: int) -> None:
        """Count items as admitted.

        Raises:
            ProblemError: as `check`.
        """
        self.check(items)
        self.items += items

    def leave(self, items: int, seconds: float) -> None:
        """Count items as answered; `seconds` is how long their answer took."""
        self.items -= items
        self._took = seconds
        self._left.set()

    async def wait_for(self, items: int) -> None:
        """Wait for room, at most the timeout; `admitted` then admits or refuses the items."""
        end = time.perf_counter() + self.in_time.seconds
        while not self._has_room(items) and (left := end - time.perf_counter()) > 0:
            self._left.clear()
            try:
                await asyncio.wait_for(self._left.wait(), left)
            except TimeoutError:
                return

    def _has_room(self, items: int) -> bool:
        return not self.items or self.items + items <= self.most


class _Admitted:
    __slots__ = ("_admission", "_items", "_since")

    def __init__(self, admission: Admission, items: int) -> None:
        self._admission = admission
        self._items = items

    def __enter__(self) -> None:
        self._admission.enter(self._items)
        self._since = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._admission.leave(self._items, time.perf_counter() - self._since)


class _Answering:
    __slots__ = ("_admitted", "_timed")

    def __init__(self, admitted: _Admitted, timed: Timed) -> None:
        self._admitted = admitted
        self._timed = timed

    async def __aenter__(self) -> None:
        self._admitted.__enter__()
        await self._timed.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admitted.__exit__()
        await self._timed.__aexit__(kind, error, trace)
