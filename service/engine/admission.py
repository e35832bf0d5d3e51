"""Few enough requests are let in to wait, and each is answered in time."""

import asyncio
import math
import time
from types import TracebackType

from service.engine.problem_error import ProblemError
from service.engine.time_limit import Timed, TimeLimit

__all__ = ["Admission"]

LONGEST_RETRY = 60


class Admission:
    """Lets in as many items as may wait, and sends others away at once.

    Attributes:
        items: let in and not answered.
        in_time: gives a block the seconds of the timeout.
    """

    def __init__(self, most: int, timeout: float) -> None:
        """Open.

        Args:
            most: items; a request with more is let in where nothing else waits.
            timeout: seconds that `wait_for` waits, and that `answering` and `in_time` give.
        """
        self.most = most
        self.items = 0
        self.in_time = TimeLimit(timeout)
        self._took = 1.0
        self._left = asyncio.Event()

    def check(self, items: int = 1) -> None:
        """See that there is room.

        Raises:
            ProblemError: 429; Retry-After is how long the last answer took, which is how long a
                queue of this length lasts.
        """
        if not self._has_room(items):
            seconds = min(max(math.ceil(self._took), 1), LONGEST_RETRY)
            raise ProblemError(
                429,
                f"{self.items} items wait and {self.most} may; send these {items} again in "
                f"{seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    def admitted(self, items: int) -> "_Admitted":
        """Return a context in which items are counted in; to enter it raises as `check`."""
        return _Admitted(self, items)

    def answering(self, items: int) -> "_Answering":
        """Return a context in which items are counted in, and that has the seconds of the timeout.

        Raises, where it is entered or ends:
            ProblemError: 429 as `check`; 503, where the seconds do not suffice.
        """
        return _Answering(self.admitted(items), self.in_time())

    def enter(self, items: int) -> None:
        """Count items in.

        Raises:
            ProblemError: as `check`.
        """
        self.check(items)
        self.items += items

    def leave(self, items: int, seconds: float) -> None:
        """Count items out that were there for some seconds."""
        self.items -= items
        self._took = seconds
        self._left.set()

    async def wait_for(self, items: int) -> None:
        """Wait until there is room, as long as the timeout; `admitted` then decides."""
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
