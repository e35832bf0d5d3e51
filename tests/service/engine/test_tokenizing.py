"""Many requests at once over HTTP, in this process: the offline codes, refusals, time-outs."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from fastapi import FastAPI

from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

FAR = [2e38] * 256


@pytest.fixture
def registry(tmp_path: Path, pipeline: Pipeline) -> Iterator[Registry]:
    database = open_database(sqlite_url(tmp_path))
    yield Registry(database, pipeline.fingerprint, pipeline.levels)
    database.close()


def _at_once(app: FastAPI, bodies: list[dict[str, Any]]) -> list[httpx.Response]:
    """Post all bodies before the first is answered."""

    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            posts: list[Coroutine[Any, Any, httpx.Response]] = [
                client.post("/v1/tokenize", json=body) for body in bodies
            ]
            return list(await asyncio.gather(*posts))

    return asyncio.run(main())


def test_codes_are_the_offline_ones_whatever_is_asked_beside_them(
    items: pl.DataFrame, pipeline: Pipeline, registry: Registry
) -> None:
    """Items one by one and in sevens, by fields and by vector, each among items that are wrong."""
    rows = items.to_dicts()
    vectors = pipeline.embed(pipeline.texts(rows)).tolist()
    offline = tokenize_catalogue(items, pipeline)
    expected = dict(zip(offline["item_id"], offline["codes"].to_list(), strict=True))
    bodies = []
    for row in range(0, len(rows), 8):
        bodies.append({"items": [rows[row]]})
        some = rows[row + 1 : row + 8]
        by_vector = [
            {"item_id": item["item_id"], "vector": vectors[row + 1 + place]}
            for place, item in enumerate(some)
        ]
        bodies.append({"items": by_vector if row % 16 else some})
        bodies.append({"items": [{"item_id": f"far{row}", "vector": FAR}]})
    app = create_app(Catalogue(pipeline, registry))
    answers = _at_once(app, bodies)
    assert [answer.status_code for answer in answers] == [200, 200, 422] * (len(bodies) // 3)
    found = [item for a in answers if a.status_code == 200 for item in a.json()["items"]]
    assert {item["item_id"]: item["codes"] for item in found} == expected
    assert len({item["semantic_id"] for item in found}) == len(rows)
    assert registry.count() == len(rows)
    metrics = app.state.tokenizers.telemetry.expose().decode()
    [batches] = [
        line for line in metrics.splitlines()
        if line.startswith('semid_batch_items_count{stage="quantize"}')
    ]  # fmt: skip
    assert float(batches.rpartition(" ")[2]) < len(bodies) / 4


def test_one_item_in_many_requests_at_once_is_created_once(
    pipeline: Pipeline, registry: Registry
) -> None:
    """Whoever asks first by the queue's order has created it; the same codes for everybody."""
    bodies = [{"items": [{"item_id": "a", "title": "Soap"}]} for _ in range(20)]
    answers = [
        a.json()["items"][0] for a in _at_once(create_app(Catalogue(pipeline, registry)), bodies)
    ]
    assert sorted(answer["status"] for answer in answers) == ["created"] + ["known"] * 19
    assert len({answer["semantic_id"] for answer in answers}) == 1
    assert registry.count() == 1


def test_a_full_queue_refuses_early_and_counts_single_and_batch_alike(
    pipeline: Pipeline, registry: Registry
) -> None:
    """51 items fit as one and fifty; the next request waits for neither."""
    fifty = {"items": [{"item_id": f"b{n}", "title": f"Soap {n}"} for n in range(50)]}
    ones = [{"items": [{"item_id": f"s{n}", "title": f"Soap {n}"}]} for n in range(4)]
    app = create_app(Catalogue(pipeline, registry), capacity=Capacity(queue=51))
    answers = _at_once(app, [ones[0], fifty, ones[1], fifty, ones[2]])
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429, 429]
    for answer in answers[2:]:
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["content-type"] == "application/problem+json"
    assert registry.count() == 51
    assert _at_once(app, [ones[1]])[0].status_code == 200


def test_a_request_that_takes_too_long_is_a_503_and_the_service_goes_on(
    pipeline: Pipeline, registry: Registry
) -> None:
    app = create_app(Catalogue(pipeline, registry), capacity=Capacity(timeout=1e-6))
    [answer] = _at_once(app, [{"items": [{"item_id": "a", "title": "Soap"}]}])
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "no answer within 1e-06 s" in answer.json()["detail"]
    assert app.state.tokenizers.named(None).admission.items == 0
