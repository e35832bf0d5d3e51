"""Clients that send slowly, or nothing, over real sockets: bounded in time, number and memory."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.http import connections
from service.http.app import create_app
from service.http.messages.limits import DEFAULT, RequestLimits
from service.http.security.guard import Access
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tests.service.http.listening import listening_at
from tokenizer.pipeline import Pipeline

TIMEOUT = 1.0
Connect = Callable[[], socket.socket]


@pytest.fixture
def serve(pipeline: Pipeline, tmp_path: Path) -> Iterator[Callable[..., Connect]]:
    """Serve an application at a real port; return what opens connections to it."""
    with ExitStack() as stack:

        def start(timeout: float = TIMEOUT, limits: RequestLimits = DEFAULT) -> Connect:
            database = stack.enter_context(open_database(sqlite_url(tmp_path)))
            registry = Registry(database, pipeline.fingerprint, pipeline.levels)
            pace, access = Capacity(timeout=timeout), Access(limits=limits)
            app = create_app(Catalogue(pipeline, registry), access, pace)
            address = stack.enter_context(listening_at(app, timeout))
            host, _, port = address.removeprefix("http://").partition(":")
            return lambda: stack.enter_context(
                socket.create_connection((host, int(port)), timeout=20)
            )

        yield start


@pytest.fixture
def connect(serve: Callable[..., Connect]) -> Connect:
    return serve()


def _rest(opened: socket.socket) -> bytes:
    """Return what comes until the server closes the connection."""
    came = b""
    try:
        while more := opened.recv(2**16):
            came += more
    except ConnectionResetError:
        pass
    return came


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    found: dict[str, object] = json.loads(body)
    return found


def _alive(connect: Connect) -> bool:
    opened = connect()
    opened.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return b'"live"' in _rest(opened)


def test_a_header_that_does_not_end_is_a_408(connect: Connect) -> None:
    """On a new connection, on a kept one, and where a byte comes now and then."""
    silent, begun, kept, trickling = connect(), connect(), connect(), connect()
    kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b'"live"' not in kept.recv(2**16):
        pass
    start = time.perf_counter()
    for opened in (begun, kept, trickling):
        opened.sendall(b"GET /health/live HTTP/1.1\r\nHost: ")
    for _ in range(6):
        time.sleep(0.3 * TIMEOUT)
        try:
            trickling.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            break
    else:
        raise AssertionError("bytes now and then keep a header open")
    for opened in (begun, kept):
        answer = _rest(opened)
        assert _status(answer) == 408
        assert "header did not come within 1 s" in str(_problem(answer)["detail"])
    assert _rest(silent) == b""
    assert time.perf_counter() - start < 15
    assert _alive(connect)


def test_a_header_without_bound_is_a_431(connect: Connect) -> None:
    opened = connect()
    opened.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
    try:
        for number in range(300):
            opened.sendall(f"X-{number}: {'x' * 500}\r\n".encode())
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert _alive(connect)
    opened = connect()
    opened.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (connections.LONGEST + 1))
    assert _status(_rest(opened)) == 431


def test_silent_connections_do_not_shut_others_out(
    serve: Callable[..., Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of too many goes, be it new or kept; one that is being answered does not."""
    monkeypatch.setattr(connections, "MOST", 20)
    connect = serve(timeout=60)
    busy = connect()
    head = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = json.dumps({"items": [{"item_id": "busy", "title": "Soap"}]}).encode()
    busy.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    time.sleep(0.2)
    old = [connect() for _ in range(10)]
    kept = connect()
    kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while b'"live"' not in kept.recv(2**16):
        pass
    for _ in range(40):
        connect().sendall(b"GET /")
    assert _alive(connect)
    assert all(_rest(opened) == b"" for opened in (*old, kept))
    busy.sendall(body[5:])
    assert _status(busy.recv(2**16)) == 200


def test_a_pipelined_header_that_stalls_does_not_cut_the_answer_before(
    connect: Connect,
) -> None:
    opened = connect()
    opened.sendall(
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health/live HTTP/1.1\r\nHo"
    )
    answer = _rest(opened)
    assert answer.count(b'{"status":"live"}') == 1
    assert b"408" in answer.partition(b'"live"}')[2]
