"""Several tokenizers in one service, the default promoted, removals and the index of replicas."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

from service.engine.catalogue import Catalogue
from service.engine.neighbours.nearest import Question
from service.http.app import create_app
from service.registry import Changes, Registry, open_database
from service.registry.tokenizers import promote
from tests.service.databases import Postgres, sqlite_url
from tokenizer.pipeline import Pipeline

Both = tuple[TestClient, TestClient]


def _catalogues(url: str, pipelines: list[Pipeline]) -> list[Catalogue]:
    database = open_database(url)
    registries = [Registry(database, one.fingerprint, one.levels) for one in pipelines]
    return [Catalogue(*pair) for pair in zip(pipelines, registries, strict=True)]


@pytest.fixture
def replicas(url: str, pipeline: Pipeline, reassigning: Pipeline) -> Iterator[Both]:
    """Return two services on one database, each with its own connections and two tokenizers."""
    held = [_catalogues(url, [pipeline, reassigning]) for _ in range(2)]
    with (
        TestClient(create_app(held[0][0], others=held[0][1:])) as one,
        TestClient(create_app(held[1][0], others=held[1][1:])) as two,
    ):
        yield one, two
    for catalogues in held:
        catalogues[0].registry.database.close()


def _post(client: TestClient, items: pl.DataFrame, **query: str) -> list[dict[str, Any]]:
    answer = client.post("/v1/tokenize", json={"items": items.to_dicts()}, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def _until(condition: Any) -> float:
    """Wait until a condition holds and return the seconds."""
    start = monotonic()
    while not condition():
        assert monotonic() - start < 10
        sleep(0.02)
    return monotonic() - start


def test_requests_name_a_tokenizer_or_mean_the_default(
    replicas: Both, items: pl.DataFrame, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    client, _ = replicas
    first = _post(client, items.head(20))
    other = _post(client, items.head(20), tokenizer=reassigning.fingerprint[:8])
    assert {len(item["codes"]) for item in first} == {3}
    assert {len(item["codes"]) for item in other} == {2}
    by_name = client.get("/v1/items/D00003", params={"tokenizer": reassigning.fingerprint}).json()
    assert by_name["semantic_id"] == other[3]["semantic_id"]
    assert client.get("/v1/items/D00003").json()["semantic_id"] == first[3]["semantic_id"]
    told = client.get("/v1/tokenizer").json()
    assert told["name"]
    assert (told["fingerprint"], told["default"]) == (pipeline.fingerprint, True)
    assert told["held"] == [pipeline.fingerprint, reassigning.fingerprint]
    for path in ("/v1/items/x", "/v1/items", "/v1/tokenizer"):
        answer = client.get(path, params={"tokenizer": "nobody"})
        assert answer.status_code == 404
        assert "no tokenizer 'nobody' is loaded here" in answer.json()["detail"]


def test_a_promotion_reaches_every_replica_within_two_seconds_and_back(
    replicas: Both, items: pl.DataFrame, url: str, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    _post(replicas[0], items.head(10))
    _post(replicas[0], items.head(10), tokenizer=reassigning.fingerprint)
    database = open_database(url)
    for chosen in (reassigning, pipeline):
        promote(database, chosen.fingerprint[:12])
        for client in replicas:
            took = _until(
                lambda client=client, chosen=chosen: (
                    client.get("/v1/tokenizer").json()["fingerprint"] == chosen.fingerprint
                )
            )
            assert took < 2
            assert len(client.get("/v1/items/D00001").json()["codes"]) == chosen.levels
    database.close()


def test_a_replica_without_the_new_default_says_so(
    url: str, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    one = _catalogues(url, [pipeline])
    two = _catalogues(url, [reassigning])
    with TestClient(create_app(one[0])) as client:
        promote(two[0].registry.database, reassigning.fingerprint)
        _until(lambda: client.get("/health/ready").status_code == 503)
        answer = client.get("/v1/items/x")
        assert answer.status_code == 503
        assert "start it with --tokenizer for that one too" in answer.json()["detail"]
        named = client.get("/v1/items", params={"tokenizer": pipeline.fingerprint})
        assert named.status_code == 200
    for catalogue in (*one, *two):
        catalogue.registry.database.close()


def test_what_one_replica_adds_or_removes_the_other_finds_or_not(replicas: Both) -> None:
    one, two = replicas
    kettle = pl.DataFrame({"item_id": ["k"], "title": ["Copper kettle"]})

    def nearest(client: TestClient) -> list[str]:
        query = {"text": "Copper kettle", "k": 9}
        found = client.post("/v1/similar", json=query).json()["items"]
        return [item["item_id"] for item in found]

    semantic_id = _post(one, kettle)[0]["semantic_id"]
    assert _until(lambda: nearest(two) == ["k"]) < 2
    for client in (one, two) * 2:
        assert client.get("/v1/items/k").json()["semantic_id"] == semantic_id
    assert one.delete("/v1/items/k").status_code == 204
    assert one.get("/v1/items/k").status_code == 404
    assert _until(lambda: two.get("/v1/items/k").status_code == 404) < 2
    assert nearest(one) == []
    assert _until(lambda: nearest(two) == []) < 2
    for client in replicas:
        assert client.get("/v1/items/k").status_code == 404
        assert client.delete("/v1/items/k").status_code == 404
    _post(two, pl.DataFrame({"item_id": ["other"], "title": ["Copper kettle"]}))
    assert two.get("/v1/items/other").json()["semantic_id"] == f"{semantic_id}-1"
    again = _post(two, kettle)[0]
    assert (again["semantic_id"], again["status"]) == (semantic_id, "known")
    assert _until(lambda: set(nearest(one)) == {"k", "other"}) < 2


def test_ids_are_mapped_page_by_page(
    replicas: Both, items: pl.DataFrame, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    client, _ = replicas
    old = _post(client, items.head(25))
    new = _post(client, items.head(20), tokenizer=reassigning.fingerprint)
    client.delete("/v1/items/D00001")
    query: dict[str, Any] = {
        "from": pipeline.fingerprint[:8], "to": reassigning.fingerprint[:8], "limit": 7, "after": 0,
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    while query["after"] is not None:
        page = client.get("/v1/id-map", params=query).json()
        found += page["items"]
        query["after"] = page["next"]
    ids = {item["item_id"]: item["semantic_id"] for item in new}
    assert found == [
        {"item_id": i["item_id"], "old": i["semantic_id"], "new": ids.get(i["item_id"])}
        for i in old
        if i["item_id"] != "D00001"
    ]
    assert client.get("/v1/id-map", params=query | {"to": "x", "after": 0}).status_code == 422


def test_an_item_that_was_looked_up_is_answered_from_memory(
    replicas: Both, items: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = replicas
    [posted] = _post(client, items.head(1))
    client.post("/v1/similar", json={"item_id": posted["item_id"]})  # follows the registry
    path = f"/v1/items/{posted['item_id']}"
    first = client.get(path).json()
    with monkeypatch.context() as without_registry:
        without_registry.setattr(Registry, "get", None)
        assert client.get(path).json() == first
    other.delete(path)
    _until(lambda: client.get(path).status_code == 404)


def test_text_that_no_database_holds_is_refused(replicas: Both) -> None:
    client, _ = replicas
    for item in ({"item_id": "a\x00", "title": "x"}, {"item_id": "a", "title": "x\x00"}):
        answer = client.post("/v1/tokenize", json={"items": [item]})
        assert answer.status_code == 422, answer.text
        assert "NUL" in answer.json()["detail"]
    assert client.get("/v1/items/a%00").status_code == 400
    assert client.delete("/v1/items/a%00").status_code == 400
    assert client.get("/v1/items", params={"search": "a\x00"}).status_code == 400
    headers = {"content-type": "application/json"}
    for fields in (
        {"item_id": "\ud800", "title": "x"},
        {"item_id": "a", "title": "soap \ud800"},
        {"item_id": "a", "title": "x\udc00", "vector": [0.1] * 256},
        {"item_id": "a", "categories": ["soap", "\udc00"]},
    ):
        lone = json.dumps({"items": [fields]})
        answer = client.post("/v1/tokenize", content=lone, headers=headers)
        assert answer.status_code == 422, answer.text


def test_an_item_whose_name_ends_a_line_is_another_item(replicas: Both) -> None:
    """By Unicode's separators; a control character is in no name."""
    client, _ = replicas
    named = ["x", "x\u2028", "p\u2029q", "\u2028x/\u2028"]
    _post(client, pl.DataFrame({"item_id": named, "title": ["Soap"] * 4}))
    at = {name: f"/v1/items/{quote(name, safe='')}" for name in named}
    for name in named:
        assert client.get(at[name]).json()["item_id"] == name
    assert client.delete(f"{at['x']}%0A").status_code in (404, 422)
    assert client.delete(at["x\u2028"]).status_code == 204
    assert [client.get(at[name]).status_code for name in named] == [200, 404, 200, 200]
    for name in ("x\n", "p\nq", "\r\nx"):
        refused = client.post("/v1/tokenize", json={"items": [{"item_id": name, "text": "Soap"}]})
        assert refused.status_code == 422
        assert client.get(f"/v1/items/{quote(name, safe='')}").status_code == 404


def test_one_catalogue_that_cannot_follow_keeps_no_other_back(
    url: str, pipeline: Pipeline, reassigning: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = _catalogues(url, [pipeline, reassigning])

    def fail() -> int:
        raise RuntimeError("no room in the index")

    broken.follow = fail  # type: ignore[method-assign]
    with caplog.at_level("ERROR"), TestClient(create_app(broken, others=[sound])) as client:
        body = {"items": [{"item_id": "k", "title": "Copper kettle"}]}
        named = {"tokenizer": reassigning.fingerprint}
        assert client.post("/v1/tokenize", json=body, params=named).status_code == 200
        query = {"text": "Copper kettle", "k": 1}
        waited = _until(
            lambda: client.post("/v1/similar", json=query, params=named).json()["items"]
        )
        assert waited < 2
        sleep(1.2)
        assert client.delete("/v1/items/k").status_code == 204
    told = [record for record in caplog.records if "changes cannot be read" in record.message]
    assert len(told) == 1
    assert "no room in the index" in str(told[0].exc_info)
    broken.registry.database.close()


@pytest.fixture
def saved(tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame) -> Path:
    """Return where a service of 50 items, one of them removed, set its index aside."""
    catalogue = _saving(tmp_path, pipeline)
    with TestClient(create_app(catalogue)) as client:
        _post(client, items.head(50))
        client.delete("/v1/items/D00007")
        _post(client, items[50:60])
    catalogue.registry.database.close()
    return tmp_path / "index"


def _saving(folder: Path, pipeline: Pipeline) -> Catalogue:
    registry = Registry(open_database(sqlite_url(folder)), pipeline.fingerprint, pipeline.levels)
    return Catalogue(pipeline, registry, folder / "index")


def _distances(catalogue: Catalogue) -> list[tuple[str, float]]:
    vector = catalogue.pipeline.vectors_of_codes(np.zeros((1, 3), np.uint16))[0]
    [found] = catalogue.similar([Question(vector, 99, exact=False)])
    assert found is not None
    return sorted((near.item.item_id, near.distance) for near in found)


def test_an_index_set_aside_is_what_would_be_built(
    saved: Path, tmp_path: Path, pipeline: Pipeline
) -> None:
    """And goes on from there: the registry is not read again from the beginning."""
    restored = _saving(tmp_path, pipeline)
    read: list[int] = []
    changes = restored.registry.changes

    def counted(after: int) -> Iterator[Changes]:
        read.append(after)
        return changes(after)

    restored.registry.changes = counted  # type: ignore[method-assign]
    found = _distances(restored)
    assert len(found) == 59
    assert read == [61]
    saved.unlink()
    built = _saving(tmp_path, pipeline)
    assert _distances(built) == found
    for catalogue in (restored, built):
        catalogue.registry.database.close()


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "noise"])
def test_a_damaged_index_is_built_anew(
    saved: Path, tmp_path: Path, pipeline: Pipeline, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = saved.read_bytes()
    flipped = bytearray(whole)
    flipped[-20] ^= 1
    damaged = {"cut": whole[:-9], "empty": b"", "flipped": bytes(flipped), "noise": b"x" * 999}
    saved.write_bytes(damaged[damage])
    catalogue = _saving(tmp_path, pipeline)
    assert "is not used" in caplog.text
    assert len(_distances(catalogue)) == 59
    catalogue.save()
    catalogue.registry.database.close()
    caplog.clear()
    _saving(tmp_path, pipeline).registry.database.close()
    assert not caplog.records


def test_an_index_of_another_registry_is_not_used(
    saved: Path, tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame
) -> None:
    """Neither of a new database in the same place, nor of one restored from a backup."""
    assert saved.exists()
    backup = (tmp_path / "semid.db").read_bytes()
    ahead = _saving(tmp_path, pipeline)
    with TestClient(create_app(ahead)) as client:
        _post(client, items[60:70])
    ahead.registry.database.close()
    (tmp_path / "semid.db").write_bytes(backup)
    restored = _saving(tmp_path, pipeline)
    assert len(_distances(restored)) == 59
    restored.registry.database.close()
    (tmp_path / "semid.db").unlink()
    new = _saving(tmp_path, pipeline)
    assert _distances(new) == []
    new.registry.database.close()


def test_a_database_that_goes_away_and_comes_back(pipeline: Pipeline, items: pl.DataFrame) -> None:
    """503 at once, liveness goes on, and recovery without a restart."""
    server = Postgres(durable=False)
    catalogue = _catalogues(server.new(), [pipeline])[0]
    with TestClient(create_app(catalogue)) as client:
        before = _post(client, items.head(10))
        server.stop()
        for request in (
            lambda: client.post("/v1/tokenize", json={"items": items[10:12].to_dicts()}),
            lambda: client.get("/v1/items/D00001"),
            lambda: client.get("/health/ready"),
        ):
            answer = request()
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/health/live").status_code == 200
        server.start()
        assert [item | {"status": "created"} for item in _post(client, items.head(10))] == before
        assert len(_post(client, items.head(20))) == 20
    catalogue.registry.database.close()
    server.close()
