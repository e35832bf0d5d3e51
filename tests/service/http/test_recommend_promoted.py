"""A recommender reads its own tokenizer's codes, and answers the IDs of the default one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from fastapi.testclient import TestClient

from data_prep.demo import demo_interactions
from data_prep.errors import InputError
from recsys.data.preparation import prepare_dataset
from recsys.recommender import Recommender, save_recommender
from recsys.shapes import build_model
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from service.registry.tokenizers import enrol_recommenders, promote, recommender_for
from tests.service.cli.command import Command, refused
from tests.service.databases import sqlite_url
from tests.service.http.test_recommend import SHAPES
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline


def _recommender(folder: Path, kind: str, pipeline: Pipeline, items: pl.DataFrame) -> Recommender:
    """Return a recommender of 200 items that reads the IDs of a tokenizer."""
    known = items.head(200)
    dataset = prepare_dataset(
        demo_interactions(known, shoppers=60), known, tokenize_catalogue(known, pipeline),
        codebook_size=pipeline.codebook_size,
    )  # fmt: skip
    torch.manual_seed(0)
    save_recommender(folder / kind, SHAPES[kind], build_model(SHAPES[kind], dataset), dataset, {})
    return Recommender.load(folder / kind)


@pytest.fixture(params=["dual-encoder", "tiger"])
def client(
    request: pytest.FixtureRequest, tmp_path: Path, pipeline: Pipeline, reassigning: Pipeline,
    items: pl.DataFrame,
) -> Iterator[TestClient]:  # fmt: skip
    """Serve two tokenizers, which both have 200 items, and a recommender of the first."""
    recommender = _recommender(tmp_path, request.param, pipeline, items)
    with open_database(sqlite_url(tmp_path)) as database:
        catalogues = [
            Catalogue(each, Registry(database, each.fingerprint, each.levels))
            for each in (pipeline, reassigning)
        ]
        enrol_recommenders(database, {recommender.tokenizer: recommender.fingerprint})
        client = TestClient(
            create_app(catalogues[0], others=catalogues[1:], recommenders=[recommender])
        )
        for name in (pipeline.fingerprint, reassigning.fingerprint):
            body = {"items": items.head(200).to_dicts()}
            client.post(f"/v1/tokenize?tokenizer={name}", json=body).raise_for_status()
        yield client


def _ask(client: TestClient, path: str = "/v1/recommend", **body: Any) -> dict[str, Any]:
    answer = client.post(path, json={"k": 20} | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _promote(client: TestClient, fingerprint: str) -> None:
    tokenizers = client.app.state.tokenizers  # type: ignore[attr-defined]
    database = tokenizers.named(None).catalogue.registry.database
    promote(database, fingerprint, incomplete=True, without_recommender=True)
    tokenizers.refresh()


def test_ids_are_those_of_the_tokenizer_that_is_asked_or_the_default(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    """The items and their order are the recommender's, whichever tokenizer answers."""
    history = items["item_id"].to_list()[:3]
    before = _ask(client, history=history)
    assert before["tokenizer"] == pipeline.fingerprint
    named = _ask(client, f"/v1/recommend?tokenizer={reassigning.fingerprint[:12]}", history=history)
    _promote(client, reassigning.fingerprint)
    after = _ask(client, history=history)
    assert after == named
    assert after["tokenizer"] == reassigning.fingerprint
    assert after["recommender"] == before["recommender"]
    for old, new in zip(before["lists"][0], after["lists"][0], strict=True):
        assert new["item_id"] == old["item_id"]
        assert new["score"] == pytest.approx(old["score"])
        assert len(new["codes"]) == reassigning.levels != len(old["codes"])
        entry = client.get(f"/v1/items/{new['item_id']}").json()
        assert new["semantic_id"] == entry["semantic_id"]
    described = client.get("/v1/tokenizer").json()
    assert described["recommender_reads"] == pipeline.fingerprint
    missing = client.post("/v1/recommend?tokenizer=none", json={"history": history})
    assert missing.status_code == 404


def test_an_item_of_the_new_tokenizer_alone_is_known_to_the_recommender(
    client: TestClient, items: pl.DataFrame, reassigning: Pipeline
) -> None:
    """It is coded again from its kept vector; the old registry does not get it."""
    _promote(client, reassigning.fingerprint)
    fresh = items.row(0, named=True) | {"item_id": "fresh"}
    client.post("/v1/tokenize", json={"items": [fresh]}).raise_for_status()
    assert _ask(client, history=["fresh"])["lists"][0]
    shown = _ask(client, history=[items["item_id"][1]], k=200)["lists"][0]
    [found] = [item for item in shown if item["item_id"] == "fresh"]
    assert found["semantic_id"] == client.get("/v1/items/fresh").json()["semantic_id"]
    client.delete("/v1/items/fresh").raise_for_status()
    shown = _ask(client, history=[items["item_id"][1]], k=200)["lists"][0]
    assert "fresh" not in [item["item_id"] for item in shown]


def test_an_item_that_comes_back_to_one_tokenizer_is_recommended(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    history = [items["item_id"][0]]
    best = _ask(client, history=history, k=1)["lists"][0][0]["item_id"]
    client.delete(f"/v1/items/{best}").raise_for_status()
    assert _ask(client, history=history, k=1)["lists"][0][0]["item_id"] != best
    back = {"items": items.filter(pl.col("item_id") == best).to_dicts()}
    path = f"/v1/tokenize?tokenizer={reassigning.fingerprint}"
    client.post(path, json=back).raise_for_status()
    found = _ask(client, history=history, k=1)["lists"][0][0]
    assert (found["item_id"], found["semantic_id"]) == (best, None)
    assert pipeline.fingerprint == _ask(client, history=history)["tokenizer"]


def test_each_tokenizer_has_its_own_recommender_where_both_are_served(
    tmp_path: Path, pipeline: Pipeline, reassigning: Pipeline, items: pl.DataFrame
) -> None:
    both = [
        _recommender(tmp_path / str(place), "dual-encoder", each, items)
        for place, each in enumerate((pipeline, reassigning))
    ]
    with open_database(sqlite_url(tmp_path)) as database:
        catalogues = [
            Catalogue(each, Registry(database, each.fingerprint, each.levels))
            for each in (pipeline, reassigning)
        ]
        with pytest.raises(InputError, match="two recommenders read IDs of tokenizer"):
            create_app(catalogues[0], others=catalogues[1:], recommenders=[both[0], both[0]])
        client = TestClient(create_app(catalogues[0], others=catalogues[1:], recommenders=both))
        for recommender in both:
            asked = f"?tokenizer={recommender.tokenizer}"
            body = {"items": items.head(200).to_dicts()}
            client.post(f"/v1/tokenize{asked}", json=body).raise_for_status()
            found = _ask(client, f"/v1/recommend{asked}", history=[items["item_id"][0]])
            assert found["recommender"] == recommender.fingerprint
            assert all(item["semantic_id"] for item in found["lists"][0])


def test_promote_names_the_recommender_or_is_refused_without_one(
    semid: Command, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path)
    with open_database(url) as database:
        for name in ("f" * 16, "e" * 16):
            Registry(database, name, 2)
        assert semid("promote", "ee", "--database", url).code == 0
        semid("promote", "ff", "--database", url)
        enrol_recommenders(database, {"f" * 16: "a" * 16})
        refused(semid("promote", "ee", "--database", url), "no recommender reads the IDs of eeee")
        done = semid("promote", "ee", "--database", url, "--without-recommender")
        assert "goes with it" not in done.output
        assert f"recommender {'a' * 16} goes" in semid("promote", "ff", "--database", url).output
        enrol_recommenders(database, {"e" * 16: "b" * 16})
        assert f"recommender {'b' * 16} goes" in semid("promote", "ee", "--database", url).output
        enrol_recommenders(database, {"": "c" * 16})
        with database.reading() as connection:
            assert recommender_for(connection, "d" * 16) == "c" * 16
