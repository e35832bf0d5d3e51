"""Clients that send slowly, or nothing, over real sockets: bounded in time, number and memory."""

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.http import connections
from service.http.app import create_app
from service.http.messages import bodies
from service.http.messages.limits import DEFAULT, RequestLimits
from service.http.security import body_intake
from service.http.security.guard import RULES, Access
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tests.service.http.listening import listening_at
from tokenizer.pipeline import Pipeline

TIMEOUT = 1.0
BODIES = sorted(path for (method, path), rule in RULES.items() if rule.media)
Connect = Callable[[], socket.socket]


@pytest.fixture
def serve(pipeline: Pipeline, tmp_path: Path) -> Iterator[Callable[..., Connect]]:
    """Serve an application at a real port; return what opens connections to it."""
    with ExitStack() as stack:

        def start(timeout: float = TIMEOUT, limits: RequestLimits = DEFAULT) -> Connect:
            database = stack.enter_context(open_database(sqlite_url(tmp_path)))
            registry = Registry(database, pipeline.fingerprint, pipeline.levels)
            capacity, access = Capacity(timeout=timeout), Access(limits=limits)
            app = create_app(Catalogue(pipeline, registry), access, capacity)
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


def _readable(opened: socket.socket) -> bool:
    return bool(select.select([opened], [], [], 0)[0])


def _head(length: int | None) -> bytes:
    """Return the header of a request to tokenize, with a body of a length or in chunks."""
    body = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"{body}\r\n\r\n"
    ).encode()


def _let_in(opened: socket.socket, head: bytes) -> None:
    """Send a header, and wait until the server asks for the body."""
    opened.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert b" 100 " in opened.recv(2**16)


def _posted(connect: Connect, body: bytes) -> int:
    opened = connect()
    opened.sendall(_head(len(body)) + body)
    return _status(opened.recv(2**16))


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
        assert "header did not arrive within 1 s" in str(_problem(answer)["detail"])
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
    opened.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (connections.MAX_HEADER + 1))
    assert _status(_rest(opened)) == 431


def test_silent_connections_do_not_shut_others_out(
    serve: Callable[..., Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of too many goes, be it new or kept; one that is being answered does not."""
    monkeypatch.setattr(connections, "MAX_WAITING", 20)
    connect = serve(timeout=60)
    busy = connect()
    head = b"POST /v1/tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = json.dumps({"items": [{"item_id": "busy", "title": "Soap"}]}).encode()
    _let_in(busy, head + f"Content-Length: {len(body)}\r\n\r\n".encode())
    busy.sendall(body[:5])
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


@pytest.mark.parametrize("path", BODIES)
def test_a_body_that_stalls_is_a_408(connect: Connect, path: str) -> None:
    """On every route that takes one: nothing of it, a part, and for lines no whole one."""
    [media, *_] = RULES["POST", path].media
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n"
    nothing, part = connect(), connect()
    nothing.sendall(f"{head}Content-Length: 99\r\n\r\n".encode())
    part.sendall(f'{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{"a":\r\n'.encode())
    for opened in (nothing, part):
        answer = opened.recv(2**16)
        assert _status(answer) == 408, answer
    assert _alive(connect)


def test_lines_may_come_slowly_once_one_has_come(connect: Connect) -> None:
    opened = connect()
    opened.sendall(
        b"POST /v1/tokenize:bulk HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(2):
        line = json.dumps({"item_id": f"slow-{number}", "title": "Soap"}) + "\n"
        opened.sendall(f"{len(line):x}\r\n{line}\r\n".encode())
        time.sleep(1.5 * TIMEOUT)
    opened.sendall(b"0\r\n\r\n")
    answer = _rest(opened)
    assert _status(answer) == 200
    assert answer.count(b'"status":"created"') == 2


def test_a_body_that_trickles_is_a_408(
    serve: Callable[..., Connect], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part comes in time, and the whole would take for ever."""
    monkeypatch.setattr(body_intake, "MIN_RATE", 100)
    opened = serve()()
    opened.sendall(_head(10_000))
    start = time.perf_counter()
    try:
        while time.perf_counter() - start < 10 and not _readable(opened):
            opened.sendall(b" ")
            time.sleep(0.1)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert "less than 100 bytes a second" in str(_problem(opened.recv(2**16))["detail"])


def test_many_slow_bodies_do_not_fill_the_memory(serve: Callable[..., Connect]) -> None:
    """As many as there is room for are let in; more are told so at once, and small ones pass."""
    most = 2**20
    connect = serve(timeout=20, limits=RequestLimits(most_body=most))
    slow = [connect() for _ in range(body_intake.LARGEST_BODIES_TOGETHER)]
    for opened in slow:
        _let_in(opened, _head(most))
        opened.sendall(b" " * (most // 2))
    for head in (_head(most), _head(None)):
        refused = connect()
        refused.sendall(head)
        if b"chunked" in head:
            for _ in range(4):
                refused.sendall(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
        answer = refused.recv(2**16)
        assert _status(answer) == 429
        assert b"retry-after: 1" in answer.lower()
    assert _posted(connect, b'{"items": [{"item_id": "small", "title": "Soap"}]}') == 200
    body = b'{"items": [{"item_id": "slow", "title": "Soap"}]}'
    slow[0].sendall((b" " * (most - most // 2 - len(body))) + body)
    assert _status(slow[0].recv(2**16)) == 200
    time.sleep(0.2)
    assert _posted(connect, body.rjust(most)) == 200


def test_a_long_body_is_read_beside_the_answers_to_others(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop goes on while a thread reads: here for as long as others are not answered."""
    answered = threading.Event()
    read: list[bool] = []
    decode = json.loads

    def waiting(body: bytes) -> object:
        if len(body) > bodies.READ_AT_ONCE:
            read.append(answered.wait(15))
        return decode(body)

    monkeypatch.setattr("json.loads", waiting)
    long = connect()
    body = json.dumps({"items": [{"item_id": "long", "title": "Soap", "more": "x" * 2**17}]})
    long.sendall(_head(len(body)) + body.encode())
    line = connect()
    text = json.dumps({"item_id": "line", "title": "Soap", "more": "x" * 2**17})
    line.sendall(
        _head(len(text)).replace(b"tokenize", b"tokenize:bulk").replace(b"json", b"x-ndjson")
    )
    line.sendall(text.encode())
    assert _alive(connect)
    assert _posted(connect, b'{"items": [{"item_id": "short", "title": "Soap"}]}') == 200
    answered.set()
    assert _status(long.recv(2**16)) == 200
    told = b""
    while b'"line":1' not in told:
        told += line.recv(2**16)
    assert read == [True, True]
