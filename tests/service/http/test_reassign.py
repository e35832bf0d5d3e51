"""The policy reassign in the registry and over HTTP: free codes, one item each, as offline."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from data_prep.errors import InputError
from service.cli.serving.serve import _take_over
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import NewItem, Registry, open_database
from tests.service.databases import Open, sqlite_url
from tokenizer.ids.policy import TakenCodes, assign_free
from tokenizer.ids.semantic_id import Codes
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

CODEBOOKS = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)


class _Arrivals:
    """Items that all want a few codes, and what a catalogue would do for them."""

    def __init__(self, number: int) -> None:
        random = np.random.default_rng(1)
        self.latents = random.normal(size=(number, 3)).astype(np.float32)
        self.codes = random.integers(0, 2, size=(number, 2)).astype(np.uint16)

    def register(self, registry: Registry, rows: Sequence[int]) -> dict[int, tuple[int, ...]]:
        def reassign(new: Sequence[int], taken: TakenCodes) -> tuple[Codes, NDArray[np.float32]]:
            some = [rows[position] for position in new]
            codes = assign_free(self.codes[some], self.latents[some], CODEBOOKS, taken)
            return codes, np.ones(len(some), np.float32)

        items = [NewItem(f"i{row}", tuple(self.codes[row].tolist()), 0.5) for row in rows]
        entries = [entry for entry, _ in registry.add(items, reassign)]
        assert not any(entry.suffix for entry in entries)
        return {row: entry.codes for row, entry in zip(rows, entries, strict=True)}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_the_registry_gives_what_one_process_gives_offline(
    url: str, opened: Open, size: int
) -> None:
    """At any number of items a request: 64 of 64 IDs are given, so that prefixes fill up."""
    arrivals = _Arrivals(64)
    whole = assign_free(arrivals.codes, arrivals.latents, CODEBOOKS, TakenCodes())
    registry = opened(url)
    found: dict[int, tuple[int, ...]] = {}
    for start in range(0, 64, size):
        found |= arrivals.register(registry, range(start, min(64, start + size)))
    assert [found[row] for row in range(64)] == [tuple(codes) for codes in whole.tolist()]
    assert arrivals.register(registry, range(63, -1, -1)) == found


def test_many_writers_give_each_item_one_id_and_each_id_one_item(url: str, opened: Open) -> None:
    """Eight registries, one database, the same colliding items in other orders; no ID changes."""
    arrivals = _Arrivals(60)
    answers: list[dict[int, tuple[int, ...]]] = []
    opened(url)

    def post(number: int) -> None:
        registry = opened(url)
        order = np.random.default_rng(number).permutation(60).tolist()
        found: dict[int, tuple[int, ...]] = {}
        for start in range(0, 60, 7):
            found |= arrivals.register(registry, order[start : start + 7])
        answers.append(found)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 60


def test_where_nothing_is_free_nothing_is_registered(url: str, opened: Open) -> None:
    registry = opened(url)
    arrivals = _Arrivals(66)
    arrivals.register(registry, range(63))
    with pytest.raises(InputError, match="--codebook-size"):
        arrivals.register(registry, [63, 64])
    assert registry.count() == 63
    arrivals.register(registry, [64])
    with pytest.raises(InputError, match="are taken"):
        arrivals.register(registry, [65])


@pytest.fixture
def registry(tmp_path: Path, reassigning: Pipeline) -> Iterator[Registry]:
    registry = Registry(
        open_database(sqlite_url(tmp_path)), reassigning.fingerprint, reassigning.levels
    )
    yield registry
    registry.database.close()


@pytest.fixture
def client(reassigning: Pipeline, registry: Registry) -> TestClient:
    return TestClient(create_app(Catalogue(reassigning, registry)), raise_server_exceptions=False)


def _post(client: TestClient, items: pl.DataFrame) -> list[dict[str, Any]]:
    answer = client.post("/v1/tokenize", json={"items": items.to_dicts()})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_http_answers_equal_the_offline_file(
    client: TestClient, registry: Registry, items: pl.DataFrame, reassigning: Pipeline
) -> None:
    """IDs of the first items are taken over; the rest comes in requests of several sizes."""
    offline = tokenize_catalogue(items, reassigning)
    _take_over(offline.head(150), registry)
    online: list[dict[str, Any]] = []
    for start, stop in ((0, 1), (1, 151), (151, 152), (152, 400), (400, 600)):
        online += _post(client, items[start:stop])
    assert [item["status"] for item in online] == ["known"] * 150 + ["created"] * 450
    for field in ("semantic_id", "codes", "suffix", "distortion"):
        assert [item[field] for item in online] == offline[field].to_list()
    again = [item | {"status": "known"} for item in online]
    assert _post(client, items.reverse()) == again[::-1]
    assert client.get("/v1/tokenizer").json()["policy"] == "reassign"


def test_when_all_codes_are_given_out_the_request_is_refused_whole(
    client: TestClient, registry: Registry
) -> None:
    """1,024 IDs: 1,000 items, then 24 of them would fit and one would not."""
    twins = pl.DataFrame({"item_id": [str(n) for n in range(1025)], "title": ["Soap"] * 1025})
    first = {item["semantic_id"] for item in _post(client, twins.head(1000))}
    refused = client.post("/v1/tokenize", json={"items": twins.tail(25).to_dicts()})
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert "--policy suffix" in refused.json()["detail"]
    assert registry.count() == 1000
    rest = {item["semantic_id"] for item in _post(client, twins[1000:1024])}
    assert len(first | rest) == 1024
