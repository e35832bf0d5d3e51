"""Clients in their own process that put a service under load, at full speed or a given rate."""

import asyncio
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import uvloop

__all__ = ["NUMBER", "Load", "Requests", "get_requests", "post_requests", "put_under_load"]

# Makes the requests, as bytes on the wire, of one run; spawned processes import it.
NUMBER = b"########"
LAST_ANSWER = 120  # seconds
Requests = Callable[..., Iterator[bytes]]


@dataclass
class Load:
    """The clients' measurements.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: seconds of each answered request; with a rate, from the time that it was due.
        statuses: answers by status.
        failed: connections that ended without an answer.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failed: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which a share (0…1) of the answers came."""
        return float(np.quantile(self.latencies, share)) * 1e3


class _Client(asyncio.Protocol):
    """One persistent connection: sends a request and reports its answer."""

    def __init__(self, free: Callable[["_Client"], None], load: Load) -> None:
        self._free = free
        self._load = load
        self._received = b""
        self._due = 0.0
        self._asking = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        if self._asking:
            self._load.failed += 1

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._asking = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        place = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[place:].split(b"\r", 1)[0]):
            return
        self._received = b""
        self._asking = False
        self._load.latencies.append(time.perf_counter() - self._due)
        self._load.statuses[int(head[9:12])] += 1
        self._free(self)


class _Clients:
    """Connections that send a request at each answer, or when the next one is due."""

    def __init__(self, requests: Iterator[bytes], load: Load, rate: float | None) -> None:
        self._requests = requests
        self._load = load
        self._rate = rate
        self._clients = 0
        self._free: deque[_Client] = deque()
        self._due: deque[float] = deque()
        self._end = 0.0
        self._idle = asyncio.Event()

    async def run(self, address: str, clients: int, seconds: float) -> None:
        self._clients = clients
        loop = asyncio.get_running_loop()
        place = urlsplit(address)
        host, port = str(place.hostname), place.port or 80
        opened = [
            await loop.create_connection(lambda: _Client(self._next, self._load), host, port)
            for _ in range(clients)
        ]
        started = time.perf_counter()
        self._end = started + seconds
        for _, client in opened:
            self._next(client)
        if self._rate is None:
            await asyncio.sleep(seconds)
        else:
            await self._in_time(started, self._rate)
        self._idle.clear()
        if len(self._free) < clients:
            await asyncio.wait_for(self._idle.wait(), LAST_ANSWER)
        self._load.seconds = time.perf_counter() - started
        for _, client in opened:
            client.transport.close()

    async def _in_time(self, started: float, rate: float) -> None:
        sent = 0
        while (now := time.perf_counter()) < self._end:
            while sent < (now - started) * rate:
                self._due.append(started + sent / rate)
                sent += 1
            while self._due and self._free:
                self._next(self._free.popleft())
            await asyncio.sleep(0.001)

    def _next(self, client: _Client) -> None:
        now = time.perf_counter()
        if self._rate is None and now < self._end:
            client.ask(next(self._requests), now)
        elif self._due:
            client.ask(next(self._requests), self._due.popleft())
        else:
            self._free.append(client)
            if len(self._free) == self._clients:
                self._idle.set()


def put_under_load(
    address: str,
    requests: Requests,
    *arguments: object,
    clients: int = 64,
    seconds: float = 4.0,
    rate: float | None = None,
) -> Load:
    """Send requests over several connections for some seconds.

    Args:
        requests: called with `arguments` in the clients' process.
        rate: requests a second, sent whether or not earlier ones are answered. None sends a
            connection's next request after the answer to its last one.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_clients, (address, requests, arguments, clients, seconds, rate))


def _clients(
    address: str,
    requests: Requests,
    arguments: tuple[Any, ...],
    clients: int,
    seconds: float,
    rate: float | None,
) -> Load:
    load = Load()
    uvloop.run(_Clients(requests(*arguments), load, rate).run(address, clients, seconds))
    return load


def get_requests(paths: list[str]) -> Iterator[bytes]:
    """Yield GET requests of paths, over and over."""
    made = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths]
    for number in count():
        yield made[number % len(made)]


def post_requests(
    path: str, bodies: list[bytes], first: int, media: str = "application/json"
) -> Iterator[bytes]:
    """Yield POST requests of bodies, over and over; `NUMBER` counts from `first`."""
    for number in count(first):
        body = bodies[number % len(bodies)].replace(NUMBER, f"{number:08}".encode())
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
