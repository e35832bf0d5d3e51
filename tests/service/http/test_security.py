"""Keys, scopes, limits and headers, over every route that the application has."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from starlette.routing import Mount
from structlog.testing import capture_logs

from service.http import routes
from service.http.messages.limits import RequestLimits
from service.http.security.guard import RULES, Access
from service.http.security.keys import SCOPES, KeyRing, Scope, add_key, read_keys, revoke_key
from tests.service.http.problem import problem_of

Make = Callable[[Access], FastAPI]
ITEM = {"items": [{"item_id": "a", "title": "Copper kettle"}]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Scope, str]]:
    """Return a file of keys, one of each scope, and them."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    return file, {scope: add_key(file, scope, [scope]) for scope in SCOPES}


@pytest.fixture(scope="module")
def file(made: tuple[Path, dict[Scope, str]]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def keys(made: tuple[Path, dict[Scope, str]]) -> dict[Scope, str]:
    return made[1]


@pytest.fixture(scope="module")
def client(application: Make, file: Path) -> TestClient:
    """Return a client of an application that takes keys."""
    app = application(Access(KeyRing(file)))
    return TestClient(app, raise_server_exceptions=False)


def _addresses(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and template of every route, as the framework knows them."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            yield "GET", f"{route.path}/{{path:path}}"
        else:
            assert route.methods
            for method in route.methods:
                yield method, str(route.path)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _ask(client: TestClient, method: str, template: str, headers: dict[str, str]) -> Any:
    path = template.replace("{item_id:any}", "a").replace("{path:path}", "style.css")
    path = path.replace("{name}", "not-found")
    body = json.dumps(ITEM if "tokenize" in path else {"text": "kettle"})
    media = "application/x-ndjson" if path.endswith(":bulk") else "application/json"
    headers = {"content-type": media, **headers}
    return client.request(method, path, content=body if method == "POST" else None, headers=headers)


def test_every_route_has_a_scope(client: TestClient) -> None:
    app = client.app
    assert isinstance(app, FastAPI)
    found = {address for address in _addresses(app) if address[0] != "HEAD"}
    assert found == RULES.keys()
    for (method, path), rule in RULES.items():
        if rule.scope is None:
            assert not path.startswith("/v1")
        elif method == "GET":
            assert rule.scope == "read"
        else:
            assert method == "POST" or rule.scope == "admin"


def test_a_route_without_a_rule_is_not_served(
    application: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()
    router.add_api_route("/v1/secrets", lambda: "secret", methods=["GET"])
    monkeypatch.setattr("service.http.app.ROUTERS", (*routes.ROUTERS, router))
    with pytest.raises(RuntimeError, match=r"\('GET', '/v1/secrets'\)"):
        application(Access())


@pytest.mark.parametrize("address", RULES)
def test_each_route_takes_a_key_of_its_scope_and_no_other(
    client: TestClient, keys: dict[Scope, str], address: tuple[str, str]
) -> None:
    needed = RULES[address].scope
    _ask(client, "POST", "/v1/tokenize", _bearer(keys["write"]))
    nobody = _ask(client, *address, {})
    if needed is None:
        assert nobody.status_code in {200, 404}
        return
    assert "Authorization: Bearer" in problem_of(nobody, 401)["detail"]
    assert nobody.headers["www-authenticate"] == 'Bearer realm="semid"'
    for scope, key in keys.items():
        answer = _ask(client, *address, _bearer(key))
        if scope == needed:
            # 422: a query is missing. 404: this service has no catalogue.
            allowed = {200, 204, 404 if "/fields/" in address[1] else 422}
            assert answer.status_code in allowed, answer.text
        else:
            assert (
                f"scope {scope}; this request needs {needed}" in problem_of(answer, 403)["detail"]
            )
            assert f'scope="{needed}"' in answer.headers["www-authenticate"]


_secret = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_wrong_key_is_let_in(
    client: TestClient, file: Path, keys: dict[Scope, str], data: st.DataObject
) -> None:
    """Noise, digests, and right keys with a part changed, for every route and unknown ones."""
    right = data.draw(st.sampled_from(sorted(keys.values())))
    stored = {key.id: key.sha256 for key in read_keys(file)}
    cut = data.draw(st.integers(0, len(right)))
    wrong = data.draw(
        st.one_of(
            _secret,
            _secret.map(lambda text: right[:cut] + text),
            st.sampled_from([right[:cut], right[cut:], right.swapcase(), right + right]),
            st.sampled_from(sorted(stored.values())),
            st.builds("semid_{}_{}".format, st.sampled_from(sorted(stored)), _secret),
        )
    )
    kind = data.draw(st.sampled_from(["Bearer ", "bearer ", "Basic ", "", "Bearer Bearer "]))
    if kind.lower() == "bearer " and wrong in keys.values():
        return
    guarded = [address for address, rule in RULES.items() if rule.scope is not None]
    unknown = [("GET", "/v1/none"), ("DELETE", "/v1/items/a"), ("OPTIONS", "/v1/items")]
    address = data.draw(st.sampled_from(guarded + unknown))
    problem_of(_ask(client, *address, {"Authorization": kind + wrong}), 401)


def test_a_key_is_refused_before_the_body_is_read(client: TestClient) -> None:
    problem_of(client.post("/v1/tokenize", content=b"\xff{", headers=_bearer("x")), 401)
    scope = {
        "type": "http", "method": "POST", "path": "/v1/tokenize", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "root_path": "",
        "server": ("x", 80), "scheme": "http",
    }  # fmt: skip

    async def receive() -> Any:
        raise AssertionError("the body was read")

    told = []

    async def send(message: Any) -> None:
        told.append(message)

    anyio.run(lambda: client.app(scope, receive, send))
    assert told[0]["status"] == 401


def test_keys_come_and_go_without_a_restart(client: TestClient, file: Path) -> None:
    key = add_key(file, "later", ["read"])
    assert client.get("/v1/tokenizer", headers=_bearer(key)).status_code == 200
    revoke_key(file, key.split("_")[1])
    problem_of(client.get("/v1/tokenizer", headers=_bearer(key)), 401)


def test_the_interface_tells_each_scope(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["paths"]["/v1/tokenize"]["post"]["security"] == [{"key": ["write"]}]
    assert document["paths"]["/v1/items/{item_id}"]["get"]["security"] == [{"key": ["read"]}]
    assert "security" not in document["paths"]["/health/live"]["get"]


def test_limits_are_told_and_kept(application: Make) -> None:
    limits = RequestLimits(most_items=2, most_history=3, most_text=10, most_body=2048)
    client = TestClient(application(Access(limits=limits)), raise_server_exceptions=False)
    assert client.get("/v1/tokenizer").json()["limits"] == limits.model_dump()
    other = TestClient(application(Access()))
    told = other.get("/v1/tokenizer").json()
    assert (told["limits"]["most_items"], told["queue"], told["timeout"]) == (1000, 4096, 30)

    def post(items: list[dict[str, Any]]) -> Any:
        return client.post("/v1/tokenize", json={"items": items})

    item = {"item_id": "l", "title": "0123456789"}
    assert post([item]).status_code == 200
    wrong = problem_of(post([item, item | {"item_id": "m", "title": "0123456789x"}]), 422)
    assert wrong["errors"] == [
        {"path": "items/1/title", "message": "has 11 characters; at most 10 are allowed"}
    ]
    wrong = problem_of(post([{"item_id": f"l{n}", "title": "x"} for n in range(3)]), 422)
    assert wrong["errors"] == [
        {"path": "items", "message": "holds 3 items; at most 2 are allowed in a request"}
    ]
    wrong = problem_of(client.post("/v1/similar", json={"text": "0123456789x"}), 422)
    assert wrong["errors"][0]["path"] == "text"
    for body, path in (
        ({"history": ["a"] * 4}, "history"),
        ({"histories": [["a"], ["a"] * 4]}, "histories/1"),
    ):
        [error] = problem_of(client.post("/v1/recommend", json=body), 422)["errors"]
        told = "holds 4 items; at most 3 are allowed in a history"
        assert error == {"path": path, "message": told}
    assert "2,048 bytes" in problem_of(post([item | {"more": "x" * 2048}]), 413)["detail"]
    assert other.post("/v1/similar", json={"text": "0123456789x"}).status_code == 200


@pytest.mark.parametrize("packed", [False, True])
def test_items_that_are_vectors_have_the_same_limits(
    application: Make, vectors: NDArray[np.float32], packed: bool
) -> None:
    """They are read another way than texts."""
    access = Access(limits=RequestLimits(most_items=2, most_text=10))
    client = TestClient(application(access), raise_server_exceptions=False)

    def post(*named: tuple[str, str]) -> Any:
        if packed:
            body = {
                "item_ids": [item_id for item_id, _ in named],
                "vectors": vectors[: len(named)].astype("<f4").tobytes(),
                "titles": [title for _, title in named],
            }
            return client.post(
                "/v1/tokenize",
                content=msgspec.msgpack.encode(body),
                headers={"content-type": "application/msgpack"},
            )
        items = [
            {"item_id": item_id, "title": title, "vector": vector.tolist()}
            for (item_id, title), vector in zip(named, vectors, strict=False)
        ]
        return client.post("/v1/tokenize", json={"items": items})

    def path(wrong: Any) -> str:
        return str(problem_of(wrong, 422)["errors"][0]["path"])

    assert post(("v1", "0123456789"), ("v2", "")).status_code == 200
    assert path(post(("v3", ""), ("v4", ""), ("v5", ""))) == ("item_ids" if packed else "items")
    long = path(post(("v3", ""), ("v4", "0123456789x")))
    assert long == ("titles/1" if packed else "items/1/title")
    null = path(post(("v\0", ""), ("v4", "")))
    assert null == ("item_ids/0" if packed else "items/0/item_id")


def test_lines_have_the_limits_of_texts_and_bodies_each(
    application: Make, vectors: NDArray[np.float32]
) -> None:
    """All of them together may be more than a body's and more than the items of a request."""
    access = Access(limits=RequestLimits(most_items=2, most_text=10, most_body=8192))
    client = TestClient(application(access), raise_server_exceptions=False)
    right = {"item_id": "n1", "title": "0123456789"}
    long = {"item_id": "n2", "title": "0123456789x"}
    vector = {"vector": vectors[0].tolist()}
    lines = [right, long, long | vector, right | {"more": "x" * 8192}, *[right | vector] * 2]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    assert len(body) > 8192
    headers = {"content-type": "application/x-ndjson"}
    answer = client.post("/v1/tokenize:bulk", content=body, headers=headers)
    answers = [json.loads(line) for line in answer.content.splitlines()]
    faults = {answer["line"]: answer["problem"] for answer in answers if "problem" in answer}
    assert list(faults) == [2, 3, 4]
    for line in (2, 3):
        assert faults[line]["errors"] == [
            {"path": "title", "message": "has 11 characters; at most 10 are allowed"}
        ]
    assert "longer than 8,192 bytes" in faults[4]["detail"]


def test_a_body_without_a_length_ends_at_the_limit(application: Make) -> None:
    client = TestClient(
        application(Access(limits=RequestLimits(most_body=2048))), raise_server_exceptions=False
    )

    def body() -> Iterator[bytes]:
        yield b'{"items": ["'
        for _ in range(100):
            yield b"x" * 100

    headers = {"content-type": "application/json"}
    answer = client.post("/v1/tokenize", content=body(), headers=headers)
    assert "2,048 bytes" in problem_of(answer, 413)["detail"]


def test_answers_carry_the_headers_that_bind_a_browser(client: TestClient) -> None:
    for path in ("/", "/docs", "/health/live", "/v1/items", "/none", "/explorer/app.js"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        script = headers["content-security-policy"].partition("script-src ")[2].partition(";")[0]
        assert "unsafe" not in script
        assert "access-control-allow-origin" not in headers


def test_other_origins_may_ask_only_where_they_are_named(application: Make) -> None:
    origin = {"Origin": "https://shop.example"}
    asked = origin | {"Access-Control-Request-Method": "POST"}
    closed = TestClient(application(Access()))
    assert "access-control-allow-origin" not in closed.get("/v1/tokenizer", headers=origin).headers
    assert closed.options("/v1/tokenize", headers=asked).status_code == 405
    opened = TestClient(application(Access(cors_origins=("https://shop.example",))))
    answer = opened.get("/v1/tokenizer", headers=origin)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert opened.options("/v1/tokenize", headers=asked).status_code == 200
    stranger = opened.get("/v1/tokenizer", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in stranger.headers
    simple = opened.post("/v1/tokenize", json=ITEM, headers={"content-type": "text/plain"})
    problem_of(simple, 415)


def test_the_log_names_the_key_by_its_public_id(client: TestClient, keys: dict[Scope, str]) -> None:
    with capture_logs() as told:
        for key in (keys["admin"], keys["read"], "semid_x_y"):
            client.delete("/v1/items/nobody", headers=_bearer(key))
    assert [(line["status"], line.get("key")) for line in told] == [
        (404, keys["admin"].split("_")[1]), (403, keys["read"].split("_")[1]), (401, None),
    ]  # fmt: skip
