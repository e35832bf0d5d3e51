"""`POST /v1/recommend` over a registry that goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from fastapi.testclient import TestClient

from data_prep.demo import demo_interactions
from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.data.preparation import prepare_dataset
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.tiger import TigerRecommenderConfig
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoderConfig
from recsys.recommender import Recommender, save_recommender
from recsys.shapes import Shape, build_model
from service.client import Semid
from service.engine import title_filter
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tests.service.http.listening import listening_at
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

TOWER = TowerConfig(width=16, layers=1, heads=2, feedforward=32, history=8)
SHAPES: dict[str, Shape] = {
    "sasrec": TOWER,
    "dual-encoder": DualEncoderConfig(tower=TOWER),
    "generator": GeneratorConfig(tower=TOWER, nearness="codes", beams=20),
    "tiger": TigerRecommenderConfig(
        width=16, heads=2, head_width=8, hidden=32, layers=1, beams=20, history=8
    ),
}
Serve = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def dataset(items: pl.DataFrame, pipeline: Pipeline) -> SequenceDataset:
    """Return generated shoppers of the first 200 items, whose IDs are those that HTTP gives."""
    known = items.head(200)
    events = demo_interactions(known, shoppers=60)
    return prepare_dataset(
        events,
        known,
        tokenize_catalogue(known, pipeline),
        codebooks=pipeline.codebooks,
        codebook_size=pipeline.codebook_size,
    )


@pytest.fixture
def serve(
    tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame, dataset: SequenceDataset
) -> Iterator[Serve]:
    """Serve a recommender of a kind, over a registry that has the items of its training."""
    database = open_database(sqlite_url(tmp_path))
    registry = Registry(database, pipeline.fingerprint, pipeline.levels)

    def start(kind: str) -> TestClient:
        torch.manual_seed(0)
        model = build_model(SHAPES[kind], dataset)
        save_recommender(tmp_path / kind, SHAPES[kind], model, dataset, {})
        app = create_app(
            Catalogue(pipeline, registry), recommenders=[Recommender.load(tmp_path / kind)]
        )
        client = TestClient(app)
        client.post("/v1/tokenize", json={"items": items.head(200).to_dicts()}).raise_for_status()
        return client

    yield start
    database.close()


def _ask(client: TestClient, **body: Any) -> list[list[dict[str, Any]]]:
    answer = client.post("/v1/recommend", json=body)
    assert answer.status_code == 200, answer.text
    lists: list[list[dict[str, Any]]] = answer.json()["lists"]
    return lists


@pytest.mark.parametrize("kind", SHAPES)
def test_recommended_items_are_of_the_catalogue_and_new(
    kind: str, serve: Serve, items: pl.DataFrame
) -> None:
    client = serve(kind)
    ids = items["item_id"].to_list()[:200]
    histories = [ids[:3], ids[5:15]]
    found = _ask(client, histories=histories, k=20)
    for history, row in zip(histories, found, strict=True):
        shown = [item["item_id"] for item in row]
        assert len(set(shown)) == 20
        assert set(shown) <= set(ids) - set(history)
        assert [item["score"] for item in row] == sorted((i["score"] for i in row), reverse=True)
        for item in row:
            entry = client.get(f"/v1/items/{item['item_id']}").json()
            assert item["semantic_id"] == entry["semantic_id"]
            assert item["title"] == entry["title"]
        alone = _ask(client, history=history, k=20)[0]
        assert [item["item_id"] for item in alone] == shown
        assert [item["score"] for item in alone] == pytest.approx([i["score"] for i in row])
    everything = _ask(client, history=ids[:3], k=200, exclude_seen=False)[0]
    if kind not in {"generator", "tiger"}:  # whose lists end with their beams
        assert {item["item_id"] for item in everything} == set(ids)
    assert client.get("/v1/tokenizer").json()["recommender"]


@pytest.mark.parametrize("kind", SHAPES)
def test_only_candidates_are_recommended_and_unknown_ones_counted(
    kind: str, serve: Serve, items: pl.DataFrame
) -> None:
    client = serve(kind)
    ids = items["item_id"].to_list()[:200]
    client.delete(f"/v1/items/{ids[60]}").raise_for_status()
    chosen = [*ids[50:70], "nobody's", "nobody's", "no one's"]
    answer = client.post(
        "/v1/recommend", json={"history": ids[49:52], "candidates": chosen, "k": 30}
    )
    body = answer.json()
    assert {item["item_id"] for item in body["lists"][0]} == {*ids[52:60], *ids[61:70]}
    assert body["unknown_candidates"] == 3
    assert body["unknown"] == [ids[60], "nobody's", "no one's"]
    for candidates in (["nobody's"], [ids[60]]):
        answer = client.post("/v1/recommend", json={"history": ids[:1], "candidates": candidates})
        assert answer.status_code == 422
        assert "no item is left to recommend" in answer.json()["detail"]
    assert (
        client.post("/v1/recommend", json={"history": ids[:1], "candidates": []}).status_code == 422
    )


@pytest.mark.parametrize("kind", ["dual-encoder", "generator", "tiger"])
def test_only_items_under_a_prefix_are_recommended(
    kind: str, serve: Serve, items: pl.DataFrame
) -> None:
    client = serve(kind)
    ids = items["item_id"].to_list()
    entry = client.get(f"/v1/items/{ids[3]}").json()
    first = str(entry["codes"][0])
    found = _ask(client, history=[ids[0]], prefix=first, exclude_seen=False, k=100)[0]
    under = client.get("/v1/items", params={"prefix": first, "limit": 200}).json()["items"]
    assert {item["item_id"] for item in found} == {item["item_id"] for item in under}
    answer = client.post("/v1/recommend", json={"history": [ids[0]], "prefix": "x"})
    assert answer.status_code == 422
    assert "is not codes" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["dual-encoder", "generator"])
def test_only_items_whose_titles_have_the_words_are_recommended(
    kind: str, serve: Serve, items: pl.DataFrame
) -> None:
    client = serve(kind)
    ids = items["item_id"].to_list()
    word = items["title"][3].split()[-1]
    titled = client.get("/v1/items", params={"search": word, "limit": 200}).json()["items"]
    names = {item["item_id"] for item in titled}
    assert 0 < len(names) < 100
    asked: dict[str, Any] = {"history": [ids[0]], "words": word, "exclude_seen": False, "k": 100}
    found = _ask(client, **asked)[0]
    assert {item["item_id"] for item in found} == names
    some = sorted(names)[:1]
    both = _ask(client, **asked, candidates=[*some, *sorted(set(ids) - names)[:5]])[0]
    assert [item["item_id"] for item in both] == some
    with listening_at(client.app) as address, Semid(address) as semid:
        named = semid.recommend([[ids[0]]], 100, exclude_seen=False, words=word)
    assert {item.item_id for item in named[0]} == names
    for wrong, told in (
        ({"words": "qqqq"}, "no item's title has them"),
        ({"candidates": sorted(set(ids) - names)[:5]}, "no candidate's title has them"),
    ):
        answer = client.post("/v1/recommend", json=asked | wrong)
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"words: {told}"


def test_words_that_too_many_titles_have_are_refused(
    serve: Serve, items: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve("dual-encoder")
    word = items["title"][3].split()[-1]
    monkeypatch.setattr(title_filter, "MOST_TITLED", 1)
    answer = client.post("/v1/recommend", json={"history": [items["item_id"][0]], "words": word})
    assert answer.status_code == 422
    assert "more than 1 titles have them" in answer.json()["detail"]


def test_the_client_gets_what_http_gives(serve: Serve, items: pl.DataFrame) -> None:
    over_http = serve("dual-encoder")
    ids = items["item_id"].to_list()
    histories = [ids[:3], ids[5:9]]
    with listening_at(over_http.app) as address, Semid(address) as semid:
        found = semid.recommend(histories, k=7)
    asked = _ask(over_http, histories=histories, k=7)
    assert [[item.model_dump() for item in row] for row in found] == asked
    with listening_at(over_http.app) as address, Semid(address) as semid:
        some = semid.recommend(histories, k=3, candidates=ids[20:40])
    assert {item.item_id for row in some for item in row} <= set(ids[20:40])


@pytest.mark.parametrize("kind", ["dual-encoder", "generator", "tiger"])
def test_an_item_tokenized_a_second_ago_is_recommended_until_it_is_removed(
    kind: str, serve: Serve, items: pl.DataFrame
) -> None:
    client = serve(kind)
    ids = items["item_id"].to_list()
    fresh = items.row(0, named=True) | {"item_id": "fresh"}
    client.post("/v1/tokenize", json={"items": [fresh]}).raise_for_status()
    shown = [item["item_id"] for item in _ask(client, history=[ids[0]], k=201 - 1)[0]]
    assert "fresh" in shown
    assert _ask(client, history=["fresh"], k=5)[0]
    client.delete("/v1/items/fresh").raise_for_status()
    shown = [item["item_id"] for item in _ask(client, history=[ids[0]], k=200)[0]]
    assert "fresh" not in shown


def test_an_item_removed_before_the_start_is_not_recommended(
    serve: Serve, items: pl.DataFrame
) -> None:
    """Though the recommender was trained with it; posted again, it is recommended again."""
    first = serve("dual-encoder")
    ids = items["item_id"].to_list()
    best = _ask(first, history=[ids[0]], k=1)[0][0]["item_id"]
    first.delete(f"/v1/items/{best}").raise_for_status()
    catalogue = first.app.state.tokenizers.named(None).catalogue  # type: ignore[attr-defined]
    [recommending] = first.app.state.recommenders  # type: ignore[attr-defined]
    recommender = recommending.recommender
    recommender.hide(best, hidden=False)  # as one that has just been loaded
    again = TestClient(create_app(catalogue, recommenders=[recommender]))
    assert best not in [item["item_id"] for item in _ask(again, history=[ids[0]], k=150)[0]]
    back = items.filter(items["item_id"] == best).to_dicts()
    again.post("/v1/tokenize", json={"items": back}).raise_for_status()
    assert _ask(again, history=[ids[0]], k=1)[0][0]["item_id"] == best


def test_what_cannot_be_is_a_problem(
    serve: Serve, items: pl.DataFrame, pipeline: Pipeline, tmp_path: Path
) -> None:
    client = serve("dual-encoder")
    some = items["item_id"].to_list()[:2]
    for body, path in [
        ({"history": []}, "history"),
        ({"history": ["nobody's"]}, "history"),
        ({"histories": [some, ["nobody's"]]}, "histories/1"),
        ({"history": some, "k": 1000}, "k"),
        ({"history": some, "k": 0}, "k"),
        ({"history": ["x"] * 10_001}, "history"),
        ({"history": some, "histories": [some]}, ""),
        ({}, ""),
    ]:
        answer = client.post("/v1/recommend", json=body)
        assert answer.status_code == 422, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert path in [each["path"] for each in answer.json()["errors"]], answer.text
    assert _ask(client, history=[*["nobody's"] * 9998, *some], k=5)
    database = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    bare = TestClient(
        create_app(Catalogue(pipeline, Registry(database, pipeline.fingerprint, pipeline.levels)))
    )
    answer = bare.post("/v1/recommend", json={"history": some})
    assert answer.status_code == 404
    assert "--recommender" in answer.json()["detail"]
    database.close()


def test_another_tokenizers_recommender_is_refused(
    dataset: SequenceDataset, pipeline: Pipeline, tmp_path: Path
) -> None:
    strange = replace(dataset, tokenizer="f00d")
    model = build_model(SHAPES["dual-encoder"], strange)
    save_recommender(tmp_path / "r", SHAPES["dual-encoder"], model, strange, {})
    database = open_database(sqlite_url(tmp_path))
    catalogue = Catalogue(pipeline, Registry(database, pipeline.fingerprint, pipeline.levels))
    with pytest.raises(InputError, match=f"tokenizer f00d, not of {pipeline.fingerprint}"):
        create_app(catalogue, recommenders=[Recommender.load(tmp_path / "r")])
    database.close()
