"""`GET /v1/fields/{item_id}` and `POST /v1/codes`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.client import Semid
from service.engine.browsing.item_fields import ItemFields
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tests.service.http.listening import listening_at
from tokenizer.pipeline import Pipeline

TABLE = pl.DataFrame(
    {
        "item_id": ["b/2", "a"],
        "title": ["Kettle", None],
        "categories": [["Home", "Kitchen"], []],
        "price": [12.5, float("nan")],
        "image": ["https://shop.example/b.jpg", ""],
        "vector": [[1.0], [2.0]],
    }
)


@pytest.fixture
def catalogue(tmp_path: Path, pipeline: Pipeline) -> Iterator[Catalogue]:
    with open_database(sqlite_url(tmp_path)) as database:
        yield Catalogue(pipeline, Registry(database, pipeline.fingerprint, pipeline.levels))


def test_fields_are_those_of_the_catalogue(catalogue: Catalogue) -> None:
    client = TestClient(create_app(catalogue, fields=ItemFields(TABLE)))
    assert client.get("/v1/fields/b%2F2").json() == {
        "item_id": "b/2",
        "fields": {
            "title": "Kettle", "categories": ["Home", "Kitchen"], "price": 12.5,
            "image": "https://shop.example/b.jpg",
        },
    }  # fmt: skip
    assert client.get("/v1/fields/a").json()["fields"] == {"price": "nan"}
    for unknown in ("c", "0", "aa"):
        answer = client.get(f"/v1/fields/{unknown}")
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (404, "item_id")
    bare = TestClient(create_app(catalogue)).get("/v1/fields/a")
    assert bare.status_code == 404
    assert "--catalogue" in bare.json()["detail"]


def test_codes_of_a_text_are_those_it_would_get(
    catalogue: Catalogue, items: pl.DataFrame, vectors: NDArray[np.float32], pipeline: Pipeline
) -> None:
    """Nothing is registered, and the items that share the codes are counted."""
    app = create_app(catalogue, fields=ItemFields(items))
    client = TestClient(app)
    text = pipeline.texts([items.row(5, named=True)])[0]
    found = client.post("/v1/codes", json={"text": text}).json()
    assert (found["items"], catalogue.registry.count()) == ([0, 0, 0], 0)
    by_vector = client.post("/v1/codes", json={"vector": vectors[5].tolist()}).json()
    assert by_vector == found
    client.post("/v1/tokenize", json={"items": items.to_dicts()}).raise_for_status()
    entry = client.get(f"/v1/items/{items['item_id'][5]}").json()
    assert (entry["codes"], entry["distortion"]) == (found["codes"], found["distortion"])
    counts = client.post("/v1/codes", json={"text": text}).json()["items"]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 1
    for body, path in (({}, ""), ({"text": "a", "vector": [1]}, ""), ({"vector": [1]}, "vector")):
        answer = client.post("/v1/codes", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path)
    with listening_at(app) as address, Semid(address) as semid:
        assert semid.codes(text=text).codes == found["codes"]
        fields = semid.fields(items["item_id"][5])
        assert fields is not None
        assert fields["title"] == items["title"][5]
        assert semid.fields("none") is None


def test_the_page_takes_pictures_only_of_a_catalogue_and_by_https(catalogue: Catalogue) -> None:
    def policy(fields: ItemFields | None) -> str:
        answer = TestClient(create_app(catalogue, fields=fields)).get("/")
        return answer.headers["content-security-policy"]

    bare, shown = policy(None), policy(ItemFields(TABLE))
    assert "img-src 'self';" in bare
    assert shown == bare.replace("img-src 'self'", "img-src 'self' https:")
    assert "script-src 'self';" in shown
