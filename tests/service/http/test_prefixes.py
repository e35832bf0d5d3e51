"""`GET /v1/prefixes`: prefixes with words, central items, coherence and sizes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.engine.browsing import named_prefixes
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import NewItem, Registry, open_database
from service.registry.prefix_samples import SampledItem, drawn_items, sampled_items
from tokenizer.pipeline import Pipeline
from tokenizer.prefixes.coherence import coherence


@pytest.fixture
def catalogue(url: str, pipeline: Pipeline) -> Iterator[Catalogue]:
    registry = Registry(open_database(url), pipeline.fingerprint, pipeline.levels)
    yield Catalogue(pipeline, registry)
    registry.database.close()


@pytest.fixture
def client(catalogue: Catalogue, items: pl.DataFrame) -> TestClient:
    client = TestClient(create_app(catalogue))
    client.post("/v1/tokenize", json={"items": items.to_dicts()}).raise_for_status()
    return client


def _ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/prefixes", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_prefixes_have_names_and_sizes(
    client: TestClient, catalogue: Catalogue, items: pl.DataFrame, vectors: NDArray[np.float32]
) -> None:
    found = _ask(client)
    codes = {row: item.codes for row, item in catalogue.registry.get(items["item_id"]).items()}
    counts = Counter(own[:1] for own in codes.values())
    assert {entry["prefix"]: entry["items"] for entry in found["prefixes"]} == {
        str(own[0]): items for own, items in counts.items()
    }
    for entry in found["prefixes"]:
        assert str(codes[entry["central"]["item_id"]][0]) == entry["prefix"]
        titles = [
            row["title"].lower() for row in items.to_dicts()
            if str(codes[row["item_id"]][0]) == entry["prefix"]
        ]  # fmt: skip
        assert all(any(word in title for title in titles) for word in entry["words"])
        if 2 <= entry["items"] <= named_prefixes.SAMPLE:
            own = np.asarray([str(codes[name][0]) == entry["prefix"] for name in items["item_id"]])
            units = vectors[own] / np.linalg.norm(vectors[own], axis=1, keepdims=True)
            assert entry["coherence"] == pytest.approx(coherence(units), abs=2e-3)
    shared = [entry for entry in found["prefixes"] if entry["items"] > 1]
    assert np.mean([entry["coherence"] for entry in shared]) > 2 * found["chance"]
    for depth in found["depths"]:
        each = Counter(own[: depth["length"]] for own in codes.values())
        assert depth["prefixes"] == len(each)
        assert depth["largest"] == max(each.values())
        assert depth["single"] == sum(n == 1 for n in each.values())
    assert len(found["depths"]) == 3
    largest = max(found["prefixes"], key=lambda entry: entry["items"])["prefix"]
    below = _ask(client, prefix=largest)
    assert sum(entry["items"] for entry in below["prefixes"]) == counts[(int(largest),)]
    assert [depth["length"] for depth in below["depths"]] == [2, 3]


def test_counts_alone_are_answered_where_names_are_not_asked(client: TestClient) -> None:
    named, bare = _ask(client), _ask(client, named=False)
    assert [e["items"] for e in bare["prefixes"]] == [e["items"] for e in named["prefixes"]]
    assert all(e["central"] is None and e["words"] == [] for e in bare["prefixes"])
    assert bare["depths"] == []


def test_names_are_kept_until_the_items_change(
    client: TestClient, catalogue: Catalogue, items: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _ask(client)
    read: list[object] = []

    def counted(*asked: Any) -> list[SampledItem]:
        read.append(asked)
        return sampled_items(*asked)

    monkeypatch.setattr(named_prefixes, "sampled_items", counted)
    assert _ask(client) == first
    assert not read
    for item_id in items["item_id"].head(80):
        catalogue.registry.remove(item_id)
    again = _ask(client)
    assert read
    gone = set(items["item_id"].head(80))
    assert not [e for e in again["prefixes"] if e["central"]["item_id"] in gone]


def test_of_many_items_a_part_is_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Common prefixes still have names; counts are exact."""
    monkeypatch.setattr("service.registry.prefix_samples.MOST_READ", 200)
    found = _ask(client)
    assert sum(entry["items"] for entry in found["prefixes"]) == 600
    common = [entry for entry in found["prefixes"] if entry["items"] >= 30]
    assert common
    assert all(entry["central"] is not None for entry in common)


@pytest.mark.usefixtures("client")
def test_a_sample_is_of_the_tokenizer_s_own_items(
    catalogue: Catalogue, reassigning: Pipeline, items: pl.DataFrame
) -> None:
    """Where another tokenizer has given IDs too, and some items have gone."""
    other = Catalogue(
        reassigning,
        Registry(catalogue.registry.database, reassigning.fingerprint, reassigning.levels),
    )
    both = TestClient(create_app(catalogue, others=[other]))
    path = f"/v1/tokenize?tokenizer={reassigning.fingerprint}"
    both.post(path, json={"items": items.head(300).to_dicts()}).raise_for_status()
    gone = items["item_id"].head(100).to_list()
    for item_id in gone:
        both.delete(f"/v1/items/{item_id}").raise_for_status()
    for one, there in ((catalogue, 500), (other, 200)):
        drawn = drawn_items(one.registry, 50, there)
        assert 0.7 * 50 <= len(drawn) <= 1.3 * 50
        assert len({item.number for item in drawn}) == len(drawn)
        known = one.registry.get(items["item_id"])
        assert all(known[item.item_id].number == item.number for item in drawn)
    assert len(drawn_items(other.registry, 500, 200)) == 200


def test_tokenizers_whose_items_alternate_each_have_a_sample(url: str) -> None:
    database = open_database(url)
    both = [Registry(database, name, 2) for name in ("one", "two")]
    for row in range(200):
        for registry in both:
            registry.add([NewItem(f"i{row}", (row // 16, row % 16), 0.1, "a title")])
    for registry in both:
        assert 35 <= len(drawn_items(registry, 50, 200)) <= 65
    database.close()
