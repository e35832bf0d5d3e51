"""Limits request bodies while they arrive: the bytes of each, the bytes of all, and the time."""

import asyncio
from typing import Self

from starlette.types import Message, Receive

from service.engine.problem_error import ProblemError
from service.engine.time_limit import TimeLimit, stalled

__all__ = ["BodyIntake", "IncomingBody", "too_large"]

LARGEST_BODIES_TOGETHER = 4  # all bodies may have as many bytes as four of the largest size
SMALL_BODY = 2**16  # bytes; a smaller body is always admitted, as each connection buffers that much
MIN_RATE = 2**15  # bytes a second that a body must reach once the time-out has passed


class BodyIntake:
    """Admits or refuses bodies before they are read, so that slow uploads cannot fill the memory.

    Attributes:
        admitted: bytes of all admitted bodies whose requests have no answer yet.
    """

    def __init__(self, most_body: int, timeout: float) -> None:
        """Start with no bodies.

        Args:
            most_body: largest size of one body in bytes.
            timeout: seconds until the next part of a body must have arrived.
        """
        self.most_body = most_body
        self.timeout = timeout
        self.admitted = 0
        self.in_time = TimeLimit(timeout, stalled)
        self._most = LARGEST_BODIES_TOGETHER * most_body

    def body(self, receive: Receive, length: int) -> "IncomingBody":
        """Return the body that `receive` reads; it is a context manager.

        Args:
            length: the body's bytes; 0 if the request does not state them.
        """
        return IncomingBody(self, receive, length)

    def refusal(self, length: int) -> ProblemError | None:
        """Return a 429 problem if there is no room for a body; a small one always has room."""
        return self.full(length) if length > SMALL_BODY else None

    def full(self, more: int) -> ProblemError | None:
        """Return a 429 problem if there is no room for `more` bytes."""
        if not self.admitted or self.admitted + more <= self._most:
            return None
        return ProblemError(
            429,
            f"bodies of {self.admitted:,} bytes are being read and answered, and the limit is "
            f"{self._most:,}; send this one again in 1 s",
            headers={"Retry-After": "1"},
        )


class IncomingBody:
    """One body; its bytes count as admitted until its request is answered."""

    __slots__ = ("_counted", "_end", "_intake", "_length", "_receive", "_received", "_whole")

    def __init__(self, intake: BodyIntake, receive: Receive, length: int) -> None:
        self._intake = intake
        self._receive = receive
        self._length = length
        self._received = 0
        self._counted = 0
        self._whole = False
        self._end = 0.0

    def __enter__(self) -> Self:
        self._count(self._length if self._length > SMALL_BODY else 0)
        self._end = asyncio.get_running_loop().time() + self._intake.timeout
        return self

    def __exit__(self, *_: object) -> None:
        self._count(-self._counted)

    async def receive(self) -> Message:
        """Return the next part.

        Raises:
            ProblemError: 408, the part is late or the body is too slow; 413, the body is too large;
                429, the body states no length and too many bytes are admitted.
        """
        if self._whole:  # the next message can only be that the client has disconnected
            return await self._receive()
        async with self._intake.in_time():
            message = await self._receive()
        self._whole = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > self._intake.most_body:
            raise ProblemError(413, too_large(self._intake.most_body))
        if self._received > max(self._counted, SMALL_BODY):  # the request stated no length
            full = self._intake.full(self._received - self._counted)
            if full is not None:
                raise full
            self._count(self._received - self._counted)
        if not self._whole and self._is_slow():
            raise ProblemError(
                408, f"the body arrives at less than {MIN_RATE:,} bytes a second; send it faster"
            )
        return message

    def _count(self, size: int) -> None:
        self._intake.admitted += size
        self._counted += size

    def _is_slow(self) -> bool:
        return asyncio.get_running_loop().time() > self._end + self._received / MIN_RATE


def too_large(most: int) -> str:
    """Return the message for a body that is too large."""
    return f"the body is longer than the limit of {most:,} bytes; send it in parts"
