"""A process's HTTP servers: one for the API and, if wanted, one for health and metrics."""

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

READ_GRACE = 5  # seconds after the time-out in which clients may still read their answers
HEALTH_TIMEOUT = 5.0  # time-out of a request for health or metrics, in seconds
ARRIVAL_GRACE = 0.5  # seconds for requests that are already on their way on kept-alive connections
# Seconds until an idle connection is closed. Proxies close theirs earlier (Caddy after 120), so
# none sends a request while this server closes the connection.
KEEP_ALIVE = 130
MAX_OPEN_FILES = 2**16
SIGNALS = (signal.SIGINT, signal.SIGTERM)
logger = logging.getLogger("semid")


def answer_until_stopped(
    app: FastAPI,
    listener: socket.socket,
    answering: Callable[[], None],
    stopping: Callable[[], None],
    timeout: float,
    side: tuple[FastAPI, socket.socket] | None = None,
    root_path: str = "",
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish the accepted requests.

    After the signal the server accepts no new connection. It answers requests that arrive on
    kept-alive connections and closes these after the answer. Then it closes the idle ones.

    Args:
        answering: called once requests are answered and a signal stops the server in order.
        stopping: called at the signal.
        timeout: seconds until a request must be answered; at the stop, clients that have not read
            their answer within timeout + 5 s are disconnected.
        side: a second application and its listener; they run until the first has stopped.
        root_path: as in `server_config`.
    """
    # Everything loaded so far stays loaded. Without the freeze each full collection would scan it
    # again, which takes about 0.1 s.
    gc.collect()
    gc.freeze()
    _raise_open_files()
    main = _Server(server_config(app, timeout, root_path), answering, stopping)
    with asyncio.Runner(loop_factory=main.config.get_loop_factory()) as runner:
        runner.run(_serve(main, listener, side))


async def _serve(
    main: "_Server", listener: socket.socket, side: tuple[FastAPI, socket.socket] | None
) -> None:
    if side is None:
        await main.serve(sockets=[listener])
        return
    beside = _SideServer(server_config(side[0], HEALTH_TIMEOUT))
    running = asyncio.create_task(beside.serve(sockets=[side[1]]))
    try:
        await main.serve(sockets=[listener])
    finally:
        beside.should_exit = True
        await running


def server_config(app: ASGIApp, timeout: float, root_path: str = "") -> uvicorn.Config:
    """Return the configuration of a server.

    Args:
        timeout: seconds until a request's header must be whole, and until it must be answered.
        root_path: path prefix that a proxy in front of the server removes.
    """
    return uvicorn.Config(
        app,
        http=connection_class(timeout),
        root_path=root_path,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(timeout) + READ_GRACE,
        ws="none",
    )


def _raise_open_files() -> None:
    """Raise the process's limit of open files, and so of connections, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, answering: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._answering, self._stopping = answering, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        logger.info("stopping: %d requests are finished first", len(self.server_state.tasks))
        for server in self.servers:
            server.close()
        if self.server_state.connections:
            self.server_state.default_headers.append((b"connection", b"close"))
            await asyncio.sleep(ARRIVAL_GRACE)
        await super().shutdown(sockets)
        logger.info("stopped")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; unlike uvicorn, do not raise it again, so that the exit status is 0."""
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
