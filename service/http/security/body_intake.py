"""Bodies of requests, bounded while they come: in bytes, each and all together, and in time."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Message, Receive

from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit, stalled

__all__ = ["BodyIntake", "IncomingBody", "too_large"]

LONGEST_BODIES = 4  # so many of the longest bodies are held at a time
SMALL = 2**16  # bytes: a shorter body is always let in; each connection's buffer holds as many
LEAST_RATE = 2**15  # bytes a second of a body, beyond the time-out's seconds


class BodyIntake:
    """Lets bodies in before they are read, so that many slow uploads do not fill the memory.

    Attributes:
        held: bytes of all bodies that were let in and whose requests are not answered.
    """

    def __init__(self, most_body: int, timeout: float) -> None:
        """Hold none.

        Args:
            most_body: bytes of one body.
            timeout: seconds in which the next part of a body has to come.
        """
        self.most_body = most_body
        self.timeout = timeout
        self.held = 0
        self.in_time = TimeLimit(timeout, stalled)
        self._most = LONGEST_BODIES * most_body

    def body(self, receive: Receive, length: int) -> "IncomingBody":
        """Return the body that `receive` brings, to be held in a `with` block.

        Args:
            length: in bytes, 0 where the request does not name it.
        """
        return IncomingBody(self, receive, length)

    def refusal(self, length: int) -> ProblemError | None:
        """Return the problem, 429, of a body for which there is no room; a small one has some."""
        return self.full(length) if length > SMALL else None

    def full(self, more: int) -> ProblemError | None:
        """Return the problem, 429, where there is no room for so many bytes more."""
        if not self.held or self.held + more <= self._most:
            return None
        return ProblemError(
            429,
            f"bodies of {self.held:,} bytes are being read and answered, and {self._most:,} may "
            f"be; send this one again in 1 s",
            headers={"Retry-After": "1"},
        )


class IncomingBody:
    """One body; its bytes are counted from before it is read until its request is answered."""

    __slots__ = ("_came", "_counted", "_end", "_intake", "_length", "_receive", "_whole")

    def __init__(self, intake: BodyIntake, receive: Receive, length: int) -> None:
        self._intake = intake
        self._receive = receive
        self._length = length
        self._came = 0
        self._counted = 0
        self._whole = False
        self._end = 0.0

    def __enter__(self) -> Self:
        self._count(self._length if self._length > SMALL else 0)
        self._end = asyncio.get_running_loop().time() + self._intake.timeout
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._count(-self._counted)

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            ProblemError: 408, it does not come in time; 413, the body is longer than one may be;
                429, it comes without a length and too many bytes are held.
        """
        if self._whole:  # what comes now is that the client has gone
            return await self._receive()
        async with self._intake.in_time():
            message = await self._receive()
        self._whole = not message.get("more_body", False)
        self._came += len(message.get("body", b""))
        if self._came > self._intake.most_body:
            raise ProblemError(413, too_large(self._intake.most_body))
        if self._came > max(self._counted, SMALL):  # it has no length
            full = self._intake.full(self._came - self._counted)
            if full is not None:
                raise full
            self._count(self._came - self._counted)
        if not self._whole and self._is_slow():
            raise ProblemError(
                408, f"the body comes at less than {LEAST_RATE:,} bytes a second; send it faster"
            )
        return message

    def _count(self, size: int) -> None:
        self._intake.held += size
        self._counted += size

    def _is_slow(self) -> bool:
        return asyncio.get_running_loop().time() > self._end + self._came / LEAST_RATE


def too_large(most: int) -> str:
    """Say that a body is longer than one may be."""
    return f"the body is longer than the {most:,} bytes that are taken; send it in parts"
