"""The HTTP servers of a process: the interface's and, where one is wanted, that of the metrics."""

import asyncio
import gc
import logging
import math
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from service.http.connections import connection_class

__all__ = ["answer_until_stopped", "server_config"]

GRACE = 5  # seconds beyond the time-out in which an answer may be taken
SIDE = 5.0  # seconds of a request for metrics
LINGER = 0.5  # seconds in which a client that has sent a request on a kept connection is answered
# Seconds that an idle connection is kept: longer than proxies keep theirs (Caddy 120), so that none
# sends a request into a connection that is being closed here.
KEPT = 130
OPEN_FILES = 2**16
SIGNALS = (signal.SIGINT, signal.SIGTERM)
logger = logging.getLogger("semid")


def answer_until_stopped(
    app: FastAPI,
    listener: socket.socket,
    stopping: Callable[[], None],
    timeout: float,
    side: tuple[FastAPI, socket.socket] | None = None,
    root_path: str = "",
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those that were accepted.

    From the signal on no connection is accepted. Requests that come on kept
    connections are answered and their connections closed; then the others are closed.

    Args:
        stopping: called at the signal.
        timeout: seconds in which a request is answered; who has not taken an answer some seconds
            after as many is cut off.
        side: another application and its listener, which go on until the first has stopped.
        root_path: as in `server_config`.
    """
    # What is loaded by now stays: the collector of garbage need not look at it, for 0.1 s, again.
    gc.collect()
    gc.freeze()
    _raise_open_files()
    main = _Server(server_config(app, timeout, root_path), stopping)
    with asyncio.Runner(loop_factory=main.config.get_loop_factory()) as runner:
        runner.run(_serve(main, listener, side))


async def _serve(
    main: "_Server", listener: socket.socket, side: tuple[FastAPI, socket.socket] | None
) -> None:
    if side is None:
        await main.serve(sockets=[listener])
        return
    beside = _SideServer(server_config(side[0], SIDE))
    running = asyncio.create_task(beside.serve(sockets=[side[1]]))
    try:
        await main.serve(sockets=[listener])
    finally:
        beside.should_exit = True
        await running


def server_config(app: ASGIApp, timeout: float, root_path: str = "") -> uvicorn.Config:
    """Return how a server answers.

    Args:
        timeout: seconds in which a request's header has to come, and a request is answered.
        root_path: path that a proxy before the server takes off.
    """
    return uvicorn.Config(
        app,
        http=connection_class(timeout),
        root_path=root_path,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEPT,
        timeout_graceful_shutdown=math.ceil(timeout) + GRACE,
        ws="none",
    )


def _raise_open_files() -> None:
    """Let the process have as many open files, so connections, as the system grants it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        logger.info("stopping: %d requests are finished first", len(self.server_state.tasks))
        for server in self.servers:
            server.close()
        if self.server_state.connections:
            self.server_state.default_headers.append((b"connection", b"close"))
            await asyncio.sleep(LINGER)
        await super().shutdown(sockets)
        logger.info("stopped")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and end the process as one that did what it was told."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _SideServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
