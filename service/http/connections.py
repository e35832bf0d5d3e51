"""Connections whose request header does not come: each has some seconds, and few may wait."""

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

LONGEST = 2**16  # bytes of a header
LEAST, MOST = 16, 2**15  # connections that may wait


class WaitingConnections:
    """The connections of one server on which no request is answered: new, begun, or kept ones.

    A client that opens connections and sends nothing, or sends a header without an end, would
    otherwise take all file descriptors before any key is asked.
    """

    def __init__(self, seconds: float) -> None:
        """Begin with none.

        Args:
            seconds: in which the header of a new connection, or one that has begun, has to come.
        """
        self.seconds = seconds
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST if soft == resource.RLIM_INFINITY else soft // 2
        self._most = max(LEAST, min(most, MOST))
        self._timers: OrderedDict[Connection, asyncio.TimerHandle | None] = OrderedDict()

    def add(self, connection: "Connection") -> None:
        """Count the seconds of a connection from now on, unless they are being counted."""
        if self._timers.get(connection) is None:
            loop = asyncio.get_running_loop()
            self._add(connection, loop.call_later(self.seconds, connection.header_is_late))

    def add_kept(self, connection: "Connection") -> None:
        """Note a connection that is kept for a next request; the server ends it when it is old."""
        self._add(connection, None)

    def discard(self, connection: "Connection") -> None:
        """Forget a connection."""
        timer = self._timers.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _add(self, connection: "Connection", timer: asyncio.TimerHandle | None) -> None:
        self._timers[connection] = timer
        self._timers.move_to_end(connection)
        if len(self._timers) > self._most:
            next(iter(self._timers)).header_is_late()


class Connection(HttpToolsProtocol):
    """Refuses a request header that is late with 408, and one that is too long with 431."""

    waiting: WaitingConnections
    _begun = False  # whether a header is coming
    _came = 0  # bytes of it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first header its seconds."""
        super().connection_made(transport)
        self.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.waiting.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Give a header that has begun and is not whole its seconds."""
        super().data_received(data)
        if not self._begun:
            return
        self._came += len(data)
        if self._came > LONGEST:
            self._refuse(ProblemError(431, f"the header is longer than {LONGEST:,} bytes"))
        else:
            self.waiting.add(self)

    def on_message_begin(self) -> None:
        """Note that a header comes."""
        super().on_message_begin()
        self._begun, self._came = True, 0

    def on_headers_complete(self) -> None:
        """Note that the header is whole."""
        self._begun = False
        self.waiting.discard(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Note that the connection is kept, unless a further request has come on it."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self.waiting.add_kept(self)

    def header_is_late(self) -> None:
        """Close the connection; a client that has begun a request is told why."""
        detail = f"the request header did not come within {self.waiting.seconds:g} s"
        self._refuse(ProblemError(408, f"{detail}; send the request again"))

    def _refuse(self, problem: ProblemError) -> None:
        self.waiting.discard(self)
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer to the request before is on its way: the connection ends after it.
            self.cycle.keep_alive = False
            return
        if self._begun:
            self.transport.write(_answer(problem, self.root_path))
        self.transport.close()


def connection_class(seconds: float) -> type[Connection]:
    """Return the class of one server's connections, whose headers have so many seconds."""
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
