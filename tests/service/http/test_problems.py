"""Every error is a problem document whose type can be looked up; malformed bodies fell nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sql
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from service.engine.catalogue import Catalogue
from service.engine.problem_error import ProblemError
from service.http.app import create_app
from service.http.messages.problems import PROBLEMS
from service.http.security.guard import RULES, Access
from service.registry import Registry, open_database
from tests.service.http.problem import problem_of
from tokenizer.pipeline import Pipeline

Make = Callable[[Access], FastAPI]
POSTED = sorted(path for (method, path), rule in RULES.items() if rule.media)
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(application: Make) -> TestClient:
    return TestClient(application(Access()), raise_server_exceptions=False)


@pytest.mark.parametrize("status", PROBLEMS)
def test_each_type_leads_to_its_description(application: Make, status: int) -> None:
    app = application(Access())

    @app.get("/fails")
    async def fails() -> None:
        raise ProblemError(status, "why", headers={"Retry-After": "3"})

    client = TestClient(app, raise_server_exceptions=False)
    answer = client.get("/fails")
    kind = problem_of(answer, status)["type"]
    assert answer.headers["retry-after"] == "3"
    page = client.get(kind)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert PROBLEMS[status].title in page.text
    assert PROBLEMS[status].title in client.get("/problems").text


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/none", 404, "Not Found"),
        ("GET", "/explorer/none.js", 404, "Not Found"),
        ("GET", "/explorer/../keys.py", 404, "Not Found"),
        ("GET", "/problems/none", 404, "no kind of problem is called 'none'"),
        ("DELETE", "/v1/tokenize", 405, "accepts POST"),
        ("GET", "/v1/items/%00", 400, "NUL"),
        ("GET", "/v1/items?search=%00", 400, "NUL"),
        ("GET", "/v1/items/%ff%ed%a0%80", 404, "no item"),
        ("GET", "/v1/items?limit=99999999999999999999", 422, "limit"),
    ],
)
def test_wrong_requests(client: TestClient, method: str, path: str, status: int, said: str) -> None:
    answer = client.request(method, path)
    assert said in problem_of(answer, status)["detail"]
    if status == 405:
        assert answer.headers["allow"] == "POST"


def test_an_address_tells_all_that_it_takes(client: TestClient) -> None:
    for method in ("OPTIONS", "PATCH", "POST"):
        answer = client.request(method, "/v1/items/a")
        assert "accepts DELETE, GET, HEAD" in problem_of(answer, 405)["detail"]
        assert answer.headers["allow"] == "DELETE, GET, HEAD"


def test_what_can_be_got_has_a_head(client: TestClient) -> None:
    for path in ("/health/live", "/health/ready", "/metrics", "/", "/docs", "/v1/tokenizer"):
        assert client.head(path).status_code == 200, path
    assert client.head("/v1/items/none").status_code == 404
    assert client.head("/v1/tokenize").status_code == 405


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_media_type_is_refused(client: TestClient, path: str, media: str) -> None:
    answer = client.post(path, content=b"{}", headers={"content-type": media} if media else {})
    taken = RULES["POST", path].media[0]
    assert taken in problem_of(answer, 415)["detail"]
    assert taken in answer.headers["accept"]


def test_a_full_disk_is_told_and_nothing_is_torn(pipeline: Pipeline, tmp_path: Path) -> None:
    """SQLite itself says so, at a number of pages that it may not pass."""
    room: list[int] = []

    def restrict(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={room[-1] if room else 2**30}")
        cursor.close()

    sql.event.listen(sql.Engine, "connect", restrict)
    try:
        url = f"sqlite:///{tmp_path / 'full.db'}"
        database = open_database(url)
        Registry(database, pipeline.fingerprint, pipeline.levels)
        database.close()
        room.append((tmp_path / "full.db").stat().st_size // 4096 + 2)
        database = open_database(url)
        registry = Registry(database, pipeline.fingerprint, pipeline.levels)
        client = TestClient(
            create_app(Catalogue(pipeline, registry)), raise_server_exceptions=False
        )
        small = {"items": [{"item_id": "small", "title": "Copper kettle"}]}
        assert client.post("/v1/tokenize", json=small).status_code == 200
        many = [{"item_id": f"{n}" * 100, "title": "Copper kettle"} for n in range(1000)]
        answer = client.post("/v1/tokenize", json={"items": many})
        assert "disk is full" in problem_of(answer, 507)["detail"]
        assert client.get("/v1/tokenizer").json()["items"] == 1
        assert client.post("/v1/tokenize", json=small).json()["items"][0]["status"] == "known"
        database.close()
    finally:
        sql.event.remove(sql.Engine, "connect", restrict)


_text = st.text(max_size=20)
_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(10**400), st.floats(), _text,
    st.sampled_from(["\ud800", "\0", "1-2-3", " ", "\u202e", "a" * 600]),
)  # fmt: skip
_names = st.one_of(
    _text, st.sampled_from(["items", "item_id", "title", "text", "vector", "categories", "k"])
)
_trees = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=5)
)
_items = st.fixed_dictionaries(
    {"item_id": _scalars},
    optional=dict.fromkeys(("title", "text", "vector", "categories", "price", "brand"), _trees),
)
_bodies = st.one_of(
    _trees,
    st.fixed_dictionaries({"items": st.lists(_items, max_size=4)}),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("item_id", "text", "vector", "k"), _trees)),
)


@st.composite
def _malformed(draw: st.DrawFn) -> bytes:
    """Noise, or JSON that is cut, has a byte changed, or is nested deep."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    content = json.dumps(draw(_bodies)).encode()
    place = draw(st.integers(0, len(content)))
    kind = draw(st.sampled_from(["whole", "cut", "byte", "deep"]))
    if kind == "cut":
        return content[:place]
    if kind == "byte":
        return content[:place] + draw(st.binary(min_size=1, max_size=3)) + content[place:]
    if kind == "deep":
        return b'{"items":' + b"[" * 10_000 + content
    return content


def _answered(client: TestClient, path: str, content: bytes) -> None:
    media = RULES["POST", path].media[0]
    answer = client.post(path, content=content, headers={"content-type": media})
    if answer.status_code == 200 and media != "application/json":
        for line in answer.content.splitlines():
            assert json.loads(line).get("problem", {}).get("status", 422) in {400, 422}, line
    if answer.status_code != 200:
        assert answer.status_code in {400, 404, 422}, answer.text
        body = problem_of(answer, answer.status_code)
        for error in body.get("errors", []):
            assert error.keys() == {"path", "message"}
            assert error["message"]


def _packed(body: Any) -> bytes:
    """Return a body as msgpack, or as noise where msgpack cannot hold it."""
    try:
        return msgspec.msgpack.encode(body)
    except (OverflowError, UnicodeEncodeError):
        return repr(body).encode("utf-8", "replace")


_columns = st.fixed_dictionaries(
    {
        "item_ids": st.lists(_scalars, max_size=2),
        "vectors": st.sampled_from([b"", b"\1" * 1024, b"\xff" * 1024, b"\1" * 2048, "", None]),
    },
    optional={"titles": _trees, "more": _trees},
)


@pytest.mark.parametrize("path", POSTED)
@settings(max_examples=60, deadline=None)
@given(content=_malformed())
def test_malformed_bodies_are_problems(client: TestClient, path: str, content: bytes) -> None:
    _answered(client, path, content)


@pytest.mark.slow
@pytest.mark.parametrize("path", POSTED)
@settings(max_examples=5000, deadline=None)
@given(content=_malformed())
def test_many_malformed_bodies_are_problems(client: TestClient, path: str, content: bytes) -> None:
    _answered(client, path, content)


@settings(max_examples=60, deadline=None)
@given(content=st.one_of(st.binary(max_size=100), st.one_of(_trees, _columns).map(_packed)))
def test_malformed_msgpack_is_a_problem(client: TestClient, content: bytes) -> None:
    headers = {"content-type": "application/msgpack"}
    answer = client.post("/v1/tokenize", content=content, headers=headers)
    if answer.status_code != 200:
        problem_of(answer, 400 if answer.status_code == 400 else 422)


def test_a_streamed_body_that_breaks_off_is_a_problem(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        yield b'{"items": ['
        yield b'{"item_id": "a"'

    problem_of(client.post("/v1/tokenize", content=body(), headers=JSON), 400)
