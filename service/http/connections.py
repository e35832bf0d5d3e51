"""Limits how long, and how many, connections may wait for a request header."""

import asyncio
import json
import resource
from collections import OrderedDict
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.engine.problem_error import ProblemError
from service.http.messages.problems import MEDIA_TYPE, problem_document

__all__ = ["WaitingConnections", "connection_class"]

MAX_HEADER = 2**16  # bytes of a header
MIN_WAITING, MAX_WAITING = 16, 2**15  # bounds of the number of connections that may wait


class WaitingConnections:
    """The connections of one server that wait for a whole header: new, begun and kept-alive ones.

    Without this limit a client could use up all file descriptors before any key is checked: it
    opens connections and sends nothing, or a header that never ends.
    """

    def __init__(self, seconds: float) -> None:
        """Start with none.

        Args:
            seconds: time until a new connection, or one with a begun header, must have sent the
                whole header.
        """
        self.seconds = seconds
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MAX_WAITING if soft == resource.RLIM_INFINITY else soft // 2
        self._most = max(MIN_WAITING, min(most, MAX_WAITING))
        self._timers: OrderedDict[Connection, asyncio.TimerHandle | None] = OrderedDict()

    def add(self, connection: "Connection") -> None:
        """Start a connection's timer, unless it is running already."""
        if self._timers.get(connection) is None:
            loop = asyncio.get_running_loop()
            self._add(connection, loop.call_later(self.seconds, connection.header_is_late))

    def add_kept(self, connection: "Connection") -> None:
        """Add a connection that is kept alive, without a timer: the server ends it when idle."""
        self._add(connection, None)

    def discard(self, connection: "Connection") -> None:
        """Remove a connection and stop its timer."""
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _add(self, connection: "Connection", timer: asyncio.TimerHandle | None) -> None:
        self._timers[connection] = timer
        self._timers.move_to_end(connection)
        if len(self._timers) > self._most:
            next(iter(self._timers)).header_is_late()


class Connection(HttpToolsProtocol):
    """Refuses a late request header with 408 and a too long one with 431."""

    waiting: WaitingConnections
    _begun = False  # whether a header has begun and is not whole
    _received = 0  # bytes received of that header

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first header."""
        super().connection_made(transport)
        self.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting for the connection's header."""
        self.waiting.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the timer of a header that has begun, and refuse one that is too long."""
        super().data_received(data)
        if not self._begun:
            return
        self._received += len(data)
        if self._received > MAX_HEADER:
            self._refuse(ProblemError(431, f"the header is longer than {MAX_HEADER:,} bytes"))
        else:
            self.waiting.add(self)

    def on_message_begin(self) -> None:
        """Note that a header has begun."""
        super().on_message_begin()
        self._begun, self._received = True, 0

    def on_headers_complete(self) -> None:
        """Note that the header is whole."""
        self._begun = False
        self.waiting.discard(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the next header, if the connection is kept alive and none has begun."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.waiting.add_kept(self)

    def header_is_late(self) -> None:
        """Close the connection; answer 408 if the client has begun a request."""
        detail = f"the request header did not arrive within {self.waiting.seconds:g} s"
        self._refuse(ProblemError(408, f"{detail}; send the request again"))

    def _refuse(self, problem: ProblemError) -> None:
        self.waiting.discard(self)
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # The previous request is still being answered: close the connection after it.
            self.cycle.keep_alive = False
            return
        if self._begun:
            self.transport.write(_answer(problem, self.root_path))
        self.transport.close()


def connection_class(seconds: float) -> type[Connection]:
    """Return the connection class of one server; headers must be whole within `seconds`."""
    waiting = WaitingConnections(seconds)
    return type("ServerConnection", (Connection,), {"waiting": waiting})


def _answer(problem: ProblemError, root: str) -> bytes:
    document: dict[str, Any] = problem_document(problem, f"{root}/", root)
    body = json.dumps(document).encode()
    status = HTTPStatus(problem.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
