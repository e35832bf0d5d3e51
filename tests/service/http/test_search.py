"""`POST /v1/search` over a registry that changes."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from fastapi.testclient import TestClient
from playwright.sync_api import expect, sync_playwright

from data_prep.errors import InputError
from recsys.models.causal_transformer import TowerConfig
from recsys.search.data.dataset import SearchDataset
from recsys.search.data.requests import of_judgements
from recsys.search.model import SearchConfig, SearchModel
from recsys.search.searcher import FrozenSearch, Searcher, freeze_search
from service.client import AsyncSemid, Semid, SemidError
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.e2e.chromium import CHROMIUM, FLAGS
from tests.service.databases import sqlite_url
from tests.service.http.listening import listening_at
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

KNOWN = 200
SHAPE = SearchConfig(
    tower=TowerConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.0, history=8)
)


def _dataset(items: pl.DataFrame, pipeline: Pipeline) -> SearchDataset:
    """Return queries that are titles of the first items, whose codes are those that HTTP gives."""
    known = items.head(KNOWN)
    queries = pl.DataFrame(
        {
            "query_id": [str(row) for row in range(KNOWN)],
            "query": known["title"],
            "item_id": known["item_id"],
            "label": [1.0] * KNOWN,
            "split": ["train", "validation"] * (KNOWN // 2),
        }
    )
    dataset = of_judgements(queries, known["item_id"].to_list(), "generated")
    reference = pipeline.config.encoder
    assert reference is not None
    ids = tokenize_catalogue(known, pipeline)
    return replace(
        dataset,
        query_vectors=pipeline.embed(dataset.queries),
        codes=np.asarray(ids["codes"].to_list(), dtype=np.uint16),
        codebooks=pipeline.codebooks,
        codebook_size=pipeline.codebook_size,
        tokenizer=pipeline.fingerprint,
        encoder=(reference.name, reference.revision),
    )


@pytest.fixture(scope="module")
def frozen(items: pl.DataFrame, pipeline: Pipeline) -> FrozenSearch:
    torch.manual_seed(0)
    dataset = _dataset(items, pipeline)
    return freeze_search(SearchModel(SHAPE, dataset).eval(), dataset, {"test": {}})


@pytest.fixture
def client(
    tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame, frozen: FrozenSearch
) -> Iterator[TestClient]:
    database = open_database(sqlite_url(tmp_path))
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)
    frozen.write(tmp_path / "search")
    app = create_app(Catalogue(pipeline, registry), searcher=Searcher.load(tmp_path / "search"))
    client = TestClient(app)
    rows = items.head(KNOWN).to_dicts()
    client.post("/v1/tokenize", json={"items": rows}).raise_for_status()
    yield client
    database.close()


def _ask(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_items_are_ranked_by_the_products_of_the_towers(
    client: TestClient, frozen: FrozenSearch, pipeline: Pipeline
) -> None:
    model = frozen.model()
    ids = frozen.catalogue.item_ids
    history = [ids[3], "unknown", ids[7]]
    found = _ask(client, query="rose hand cream", history=history, k=20)
    vector = torch.from_numpy(pipeline.embed(["rose hand cream"]))
    with torch.no_grad():
        user = model.users(vector, torch.tensor([True]), torch.tensor([[3, 7]]))
        scores = (user @ model.items.all_candidates().T)[0]
    wanted = scores.topk(20).values.tolist()
    assert [item["score"] for item in found] == pytest.approx(wanted, abs=1e-4)
    for item in found:
        own = scores[ids.index(item["item_id"])].item()
        assert item["score"] == pytest.approx(own, abs=1e-4)
        assert item["semantic_id"].startswith("-".join(map(str, item["codes"])))
    other = _ask(client, query="rose hand cream", k=20)
    assert [item["score"] for item in other] != [item["score"] for item in found]
    assert _ask(client, history=history, k=5)


def test_filters(client: TestClient, frozen: FrozenSearch) -> None:
    everything = _ask(client, query="cream", k=KNOWN)
    assert len(everything) == KNOWN
    first = str(everything[0]["codes"][0])
    begun = _ask(client, query="cream", k=KNOWN, prefix=first)
    assert [item["item_id"] for item in begun] == [
        item["item_id"] for item in everything if str(item["codes"][0]) == first
    ]
    some = [item["item_id"] for item in everything[5:50:9]]
    assert [
        item["item_id"] for item in _ask(client, query="cream", candidates=[*some, "no"])
    ] == some
    both = _ask(client, query="cream", k=KNOWN, candidates=some, prefix=first)
    assert {item["item_id"] for item in both} == set(some) & {item["item_id"] for item in begun}
    seen = [item["item_id"] for item in everything[:3]]
    fresh = _ask(client, query="cream", history=seen, k=KNOWN, exclude_seen=True)
    assert not set(seen) & {item["item_id"] for item in fresh}
    assert len(fresh) == KNOWN - 3
    worded = _ask(client, query="cream", k=KNOWN, words=everything[7]["title"])
    assert everything[7] in worded
    titled = client.get("/v1/items", params={"search": everything[7]["title"]}).json()["items"]
    assert {item["item_id"] for item in worded} == {item["item_id"] for item in titled}
    assert client.post("/v1/search", json={"query": "x", "words": "qqqq"}).status_code == 422
    assert _ask(client, query="cream", prefix="1-2-3-4-5-6-7-8-9") == []
    assert frozen.catalogue.codes is not None


def test_new_items_are_found_and_removed_ones_are_not(
    client: TestClient, items: pl.DataFrame, frozen: FrozenSearch
) -> None:
    fresh = items[KNOWN : KNOWN + 5]
    client.post("/v1/tokenize", json={"items": fresh.to_dicts()}).raise_for_status()
    everything = _ask(client, query="cream", k=1000)
    assert len(everything) == KNOWN + 5
    assert set(fresh["item_id"]) <= {item["item_id"] for item in everything}
    best = everything[0]["item_id"]
    assert client.delete(f"/v1/items/{best}").status_code == 204
    assert best not in {item["item_id"] for item in _ask(client, query="cream", k=1000)}
    again = next(row for row in items.to_dicts() if row["item_id"] == best)
    client.post("/v1/tokenize", json={"items": [again]}).raise_for_status()
    assert best in {item["item_id"] for item in _ask(client, query="cream", k=1000)}
    named = client.get("/v1/tokenizer").json()["search"]
    assert named == frozen.fingerprint


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, ""),
        ({"query": " "}, "query"),
        ({"query": "x", "k": 0}, "k"),
        ({"query": "x", "prefix": "1-"}, "prefix"),
        ({"query": "x", "candidates": []}, "candidates"),
        ({"query": "x", "more": 1}, "more"),
        ({"history": ["nobody"]}, "history"),
    ],
)
def test_wrong_requests_are_problems(client: TestClient, body: dict[str, Any], path: str) -> None:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in [error["path"] for error in answer.json()["errors"]]


def test_a_service_without_a_search_model_says_so(tmp_path: Path, pipeline: Pipeline) -> None:
    database = open_database(sqlite_url(tmp_path))
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)
    client = TestClient(create_app(Catalogue(pipeline, registry)))
    answer = client.post("/v1/search", json={"query": "x"})
    assert answer.status_code == 404
    assert "--search" in answer.json()["detail"]
    assert client.get("/v1/tokenizer").json()["search"] is None
    database.close()


def test_both_clients_search(client: TestClient, items: pl.DataFrame) -> None:

    ids = items["item_id"].to_list()
    with listening_at(client.app) as address:  # type: ignore[arg-type]
        with Semid(address) as semid:
            found = semid.search("cream", [ids[0]], k=3, exclude_seen=True, candidates=ids[:10])
            assert [item.item_id for item in found] == [
                item["item_id"]
                for item in _ask(
                    client,
                    query="cream",
                    history=[ids[0]],
                    k=3,
                    exclude_seen=True,
                    candidates=ids[:10],
                )
            ]
            with pytest.raises(SemidError, match="no item that the search model knows"):
                semid.search(history=["nobody"])

        async def ask() -> list[str]:
            async with AsyncSemid(address) as semid:
                return [item.item_id for item in await semid.search("cream", k=2)]

        assert len(asyncio.run(ask())) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_searches_with_the_model_and_the_history(
    client: TestClient, frozen: FrozenSearch
) -> None:
    added = frozen.catalogue.item_ids[3]
    with listening_at(client.app) as address, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS).new_page()
        rows = page.locator("#results .row")
        for history, said in (([], "Ranked by the search model:"), ([added], "and the history:")):
            page.goto(f"{address}/#q=hand+cream{''.join(f'&history={one}' for one in history)}")
            expect(page.locator("#results-said")).to_contain_text(said)
            expect(rows).to_have_count(50)
            wanted = _ask(client, query="hand cream", history=history, k=50)
            shown = [row.get_attribute("data-item-id") for row in rows.all()]
            assert shown == [item["item_id"] for item in wanted]
        expect(page.locator("#recommended")).to_contain_text("No recommender is served")
        rows.first.get_by_role("button").click()
        expect(page.locator("#history .step")).to_have_count(2)


def test_another_tokenizers_search_model_is_refused(
    tmp_path: Path, pipeline: Pipeline, frozen: FrozenSearch
) -> None:
    database = open_database(sqlite_url(tmp_path))
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)
    catalogue = Catalogue(pipeline, registry)
    other = replace(frozen, catalogue=replace(frozen.catalogue, tokenizer="0" * 64))
    with pytest.raises(InputError, match="reads IDs of tokenizer 0000"):
        create_app(catalogue, searcher=Searcher(other))
    other = replace(frozen, catalogue=replace(frozen.catalogue, encoder=("minilm", "7")))
    with pytest.raises(InputError, match="reads queries of encoder 'minilm', revision '7'"):
        create_app(catalogue, searcher=Searcher(other))
    database.close()


def test_a_changed_folder_is_refused(tmp_path: Path, frozen: FrozenSearch) -> None:
    frozen.write(tmp_path / "search")
    assert FrozenSearch.read(tmp_path / "search").fingerprint == frozen.fingerprint
    weights = tmp_path / "search" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(InputError, match="has changed since semid train-search"):
        FrozenSearch.read(tmp_path / "search")
    with pytest.raises(InputError, match="is not a search model"):
        FrozenSearch.read(tmp_path)
