from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError

from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tokenizer.artifact import TokenizerArtifact
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline


@pytest.fixture
def registry(tmp_path: Path, pipeline: Pipeline) -> Iterator[Registry]:
    database = open_database(sqlite_url(tmp_path))
    yield Registry(database, pipeline.fingerprint, pipeline.levels)
    database.close()


@pytest.fixture
def client(pipeline: Pipeline, registry: Registry) -> TestClient:
    app = create_app(Catalogue(pipeline, registry))
    return TestClient(app, raise_server_exceptions=False)


def _fields(items: pl.DataFrame) -> list[dict[str, Any]]:
    return items.to_dicts()


def _problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert {"type", "title", "detail", "instance"} <= body.keys()
    assert "Traceback" not in answer.text
    return body


def test_http_answers_equal_the_offline_file(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline
) -> None:
    offline = tokenize_catalogue(items.head(300), pipeline)
    answer = client.post("/v1/tokenize", json={"items": _fields(items.head(300))})
    assert answer.status_code == 200, answer.text
    online = answer.json()["items"]
    assert [item["item_id"] for item in online] == offline["item_id"].to_list()
    assert [item["semantic_id"] for item in online] == offline["semantic_id"].to_list()
    assert [item["codes"] for item in online] == offline["codes"].to_list()
    assert np.allclose([item["distortion"] for item in online], offline["distortion"])
    assert {item["status"] for item in online} == {"created"}
    again = client.post("/v1/tokenize", json={"items": _fields(items.head(301))}).json()["items"]
    assert [item["status"] for item in again] == ["known"] * 300 + ["created"]


def test_fields_text_and_vector_of_one_item_give_the_same_codes(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    fields = _fields(items.head(1))[0]
    forms = [
        fields | {"item_id": "fields"},
        {"item_id": "text", "text": pipeline.texts([fields])[0]},
        {"item_id": "vector", "vector": vectors[0].tolist()},
    ]
    answers = client.post("/v1/tokenize", json={"items": forms}).json()["items"]
    assert len({tuple(answer["codes"]) for answer in answers}) == 1
    assert [answer["suffix"] for answer in answers] == [0, 1, 2]


def test_items_are_looked_up_listed_paged_and_searched(
    client: TestClient, items: pl.DataFrame
) -> None:
    posted = client.post("/v1/tokenize", json={"items": _fields(items.head(200))}).json()["items"]
    one = client.get("/v1/items/D00005").json()
    assert one == {key: value for key, value in posted[5].items() if key != "status"}
    listed: list[str] = []
    after = ""
    while True:
        page = client.get("/v1/items", params={"limit": 70, "after": after}).json()
        assert page["total"] == 200
        listed += [item["semantic_id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    expected = sorted((item["codes"], item["suffix"], item["semantic_id"]) for item in posted)
    assert listed == [semantic_id for _, _, semantic_id in expected]
    prefix = "-".join(map(str, posted[0]["codes"][:1]))
    under = client.get("/v1/items", params={"prefix": prefix, "limit": 1000}).json()
    assert all(item["codes"][0] == posted[0]["codes"][0] for item in under["items"])
    assert under["total"] == sum(item["codes"][0] == posted[0]["codes"][0] for item in posted)
    below = client.get("/v1/prefixes", params={"prefix": prefix}).json()["prefixes"]
    assert sum(entry["items"] for entry in below) == under["total"]
    found = client.get("/v1/items", params={"search": posted[7]["title"].upper()}).json()["items"]
    assert [item["item_id"] for item in found] == ["D00007"]


def test_ids_with_slashes_are_ids(client: TestClient) -> None:
    client.post("/v1/tokenize", json={"items": [{"item_id": "a/b?c", "title": "Soap"}]})
    assert client.get("/v1/items/a%2Fb%3Fc").json()["item_id"] == "a/b?c"


def test_similar_by_item_text_and_vector(
    client: TestClient, items: pl.DataFrame, vectors: NDArray[np.float32], pipeline: Pipeline
) -> None:
    client.post("/v1/tokenize", json={"items": _fields(items)})
    by_item = client.post("/v1/similar", json={"item_id": "D00003", "k": 5}).json()["items"]
    assert len(by_item) == 5
    assert "D00003" not in {item["item_id"] for item in by_item}
    cosines = [item["cosine"] for item in by_item]
    assert cosines == sorted(cosines, reverse=True)
    by_codes = {"item_id": "D00003", "k": 5, "exact": False}
    found = client.post("/v1/similar", json=by_codes).json()["items"]
    distances = [item["distance"] for item in found]
    assert distances == sorted(distances)
    text = pipeline.texts(_fields(items.slice(3, 1)))[0]
    by_text = client.post("/v1/similar", json={"text": text, "k": 5}).json()["items"]
    by_vector = client.post("/v1/similar", json={"vector": vectors[3].tolist(), "k": 5}).json()
    assert by_text == by_vector["items"]
    everything = client.post("/v1/similar", json={"item_id": "D00003", "k": 1000}).json()["items"]
    assert len(everything) == items.height - 1


def test_an_item_of_another_process_is_found(
    client: TestClient, registry: Registry, pipeline: Pipeline
) -> None:
    other = TestClient(create_app(Catalogue(pipeline, registry)))
    other.post("/v1/tokenize", json={"items": [{"item_id": "new", "title": "Copper kettle"}]})
    near = client.post("/v1/similar", json={"text": "Copper kettle", "k": 1}).json()["items"]
    assert near[0]["item_id"] == "new"


def test_the_tokenizer_and_health_are_told(client: TestClient, pipeline: Pipeline) -> None:
    told = client.get("/v1/tokenizer").json()
    assert (told["fingerprint"], told["name"]) == (pipeline.fingerprint, pipeline.name)
    assert (told["levels"], told["codebook_size"], told["dimension"]) == (3, 32, 256)
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_docs_and_page_ask_no_other_host(client: TestClient) -> None:
    for path in ("/", "/docs", "/explorer/app.js", "/explorer/style.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "https://" not in answer.text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/tokenize", "/v1/items", "/v1/similar", "/v1/tokenizer"} <= paths.keys()


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ({"items": []}, "items", "at least 1 item"),
        ({"items": [{"item_id": str(n), "title": "x"} for n in range(1001)]}, "items", "1000"),
        ({"items": [{"item_id": " ", "title": "x"}]}, "items/0/item_id", "pattern"),
        ({"items": [{"title": "x"}]}, "items/0/item_id", "required"),
        ({"items": [{"item_id": "a", "title": "x"}] * 2}, "items/0/item_id", "more than once"),
        ({"items": [{"item_id": "a"}]}, "items/0", "'a' has none of vector, text, title"),
        (
            {"items": [{"item_id": "a", "text": " "}]},
            "items/0",
            "'a' has none of vector, text, title",
        ),
        ({"items": [{"item_id": "a", "text": "x", "title": "y"}]}, "items/0", "not both"),
        ({"items": [{"item_id": "a", "vector": [2e38] * 256}]}, "", "components beyond"),
        ({"items": [{"item_id": "a", "vector": [1.0, 2.0]}]}, "items/0/vector", "takes 256"),
        ({"items": [{"item_id": "a", "vector": [0.0] * 256}]}, "items/0/vector", "only zeros"),
        ({"items": [{"item_id": "a", "vector": [1e300] * 256}]}, "items/0/vector/0", "less than"),
        ({"item": []}, "items", "required"),
    ],
)
def test_wrong_items_are_refused_by_their_path_and_nothing_is_registered(
    client: TestClient, registry: Registry, body: dict[str, Any], path: str, said: str
) -> None:
    if isinstance(body.get("items"), list) and 0 < len(body["items"]) < 3:
        body = {"items": [{"item_id": "good", "title": "fine"}, *body["items"]]}
        path = path.replace("items/0", "items/1")
    problem = _problem(client.post("/v1/tokenize", json=body), 422)
    assert not path or problem["errors"][0]["path"] == path
    assert said in problem["detail"]
    assert registry.count() == 0


def test_what_json_has_no_word_for_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    broken = client.post("/v1/tokenize", content='{"items": [', headers=headers)
    assert "not JSON" in _problem(broken, 400)["detail"]
    vector = ",".join(["NaN"] * 256)
    content = f'{{"items": [{{"item_id": "a", "vector": [{vector}]}}]}}'
    problem = _problem(client.post("/v1/tokenize", content=content, headers=headers), 422)
    assert problem["errors"][0]["path"].startswith("items/0/vector")
    _problem(client.post("/v1/tokenize", content=b"\xff\xfe", headers=headers), 400)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/v1/items/none", 404, "no item 'none' is registered"),
        ("/v1/items?prefix=9-9", 404, "no item has an ID that starts with 9-9"),
        ("/v1/prefixes?prefix=9-9", 404, "no item has an ID that starts with 9-9"),
        ("/v1/items?prefix=x", 422, "not codes joined by '-'"),
        ("/v1/items?prefix=99", 422, "beyond 0…31"),
        ("/v1/items?after=1-2", 422, "not a semantic ID"),
        ("/v1/items?after=1-2-3-99999999999999999999", 422, "not a semantic ID"),
        ("/v1/items?search=x&prefix=1", 422, "without prefix"),
        ("/v1/items?limit=0", 422, "limit"),
        ("/nothing", 404, "Not Found"),
        ("/v1/tokenize", 405, "accepts POST"),
    ],
)
def test_wrong_addresses_are_problems(
    client: TestClient, path: str, status: int, said: str
) -> None:
    assert said in _problem(client.get(path), status)["detail"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "exactly one of"),
        ({"text": "x", "item_id": "y"}, 422, "exactly one of"),
        ({"item_id": "none"}, 404, "no item 'none'"),
        ({"vector": [1.0]}, 422, "takes 256"),
        ({"vector": [0.0] * 256}, 422, "only zeros"),
        ({"text": "x", "k": 0}, 422, "k"),
    ],
)
def test_wrong_queries_are_problems(
    client: TestClient, body: dict[str, Any], status: int, said: str
) -> None:
    assert said in _problem(client.post("/v1/similar", json=body), status)["detail"]


def test_a_failure_inside_is_a_problem_without_a_traceback(
    client: TestClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(registry, "get", fail)
    answer = client.get("/v1/items/x")
    assert "secret" not in _problem(answer, 500)["detail"]


def test_a_tokenizer_of_vectors_takes_vectors_only(
    vector_tokenizer: TokenizerArtifact, vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    pipeline = Pipeline(vector_tokenizer)
    database = open_database(sqlite_url(tmp_path))
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)
    client = TestClient(create_app(Catalogue(pipeline, registry)))
    good = {"items": [{"item_id": "a", "vector": vectors[0].tolist(), "title": "kept"}]}
    assert client.post("/v1/tokenize", json=good).json()["items"][0]["title"] == "kept"
    text = client.post("/v1/tokenize", json={"items": [{"item_id": "b", "title": "x"}]})
    assert "no text encoder" in _problem(text, 422)["detail"]
    query = client.post("/v1/similar", json={"text": "x"})
    assert "fitted on vectors" in _problem(query, 422)["detail"]


def test_a_row_of_a_catalogue_can_be_sent_as_it_is(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline
) -> None:
    """Further columns decide nothing, offline and here."""
    row = items.row(0, named=True) | {"colour": "red", "price": None}
    row["categories"] = [*row["categories"], None]
    table = pl.DataFrame([row])
    offline = tokenize_catalogue(table, pipeline)["semantic_id"][0]
    online = client.post("/v1/tokenize", json={"items": [row]})
    assert online.json()["items"][0]["semantic_id"] == offline


def test_a_database_that_does_not_answer_is_a_503(
    client: TestClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("select", {}, Exception("disk"))

    monkeypatch.setattr(registry, "get", fail)
    monkeypatch.setattr(registry, "check", fail)
    assert "try again later" in _problem(client.get("/v1/items/x"), 503)["detail"]
    _problem(client.get("/health/ready"), 503)
    assert client.get("/health/live").status_code == 200
