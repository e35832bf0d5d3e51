"""Neighbours by the items' vectors: exact, and together with the IDs whatever happens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.engine.catalogue import Catalogue
from service.engine.neighbours.nearest import Question
from service.http.app import create_app
from service.registry import Registry, open_database
from service.registry.exchange import export_registry, import_registry
from service.registry.exchange.import_file import ImportFile
from service.registry.tokenizers import promote
from tests.service.databases import sqlite_url
from tokenizer.pipeline import Pipeline


def _catalogue(url: str, pipeline: Pipeline, **how: Any) -> Catalogue:
    registry = Registry(open_database(url), pipeline.fingerprint, pipeline.levels)
    return Catalogue(pipeline, registry, **how)


@pytest.fixture
def catalogue(url: str, pipeline: Pipeline) -> Iterator[Catalogue]:
    made = _catalogue(url, pipeline)
    yield made
    made.registry.database.close()


@pytest.fixture
def client(catalogue: Catalogue, items: pl.DataFrame) -> TestClient:
    """Return a service that gave all items their IDs."""
    client = TestClient(create_app(catalogue))
    client.post("/v1/tokenize", json={"items": items.to_dicts()}).raise_for_status()
    return client


def _ask(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/similar", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def _cosines(vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(units @ (query / np.linalg.norm(query)))


@pytest.mark.parametrize("where", ["memory", "database"])
def test_neighbours_are_those_of_the_highest_cosine(
    where: str,
    catalogue: Catalogue,
    client: TestClient,
    items: pl.DataFrame,
    vectors: NDArray[np.float32],
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever codes propose, where all vectors are in memory; else 600 are all candidates."""
    if where == "memory":
        monkeypatch.setattr("tokenizer.index.exact_neighbours.LEAST", 1)
        monkeypatch.setattr("tokenizer.index.exact_neighbours.FACTOR", 1)
    else:
        catalogue.nearest.memory._most = 100
    own = vectors[7]
    text = pipeline.embed(["a copper kettle"])[0]
    for body, query, left_out in [
        ({"item_id": items["item_id"][7]}, own, 7),
        ({"vector": own.tolist()}, own, None),
        ({"text": "a copper kettle"}, text, None),
    ]:
        near = _cosines(vectors, query)
        if left_out is not None:
            near[left_out] = -2
        found = _ask(client, **body, k=10)
        assert [each["cosine"] for each in found] == pytest.approx(np.sort(near)[:-11:-1], abs=2e-3)
        assert all(each["exact"] for each in found)
        rows = items["item_id"].to_list()
        for each in found:
            assert each["cosine"] == pytest.approx(near[rows.index(each["item_id"])], abs=2e-3)
            decoded = pipeline.latents_of_codes(np.asarray([each["codes"]], np.uint16))[0]
            away = np.square(decoded - pipeline.latents(query[None])[0]).sum()
            assert each["distance"] == pytest.approx(away, rel=0.02, abs=0.02)
    assert catalogue.nearest.memory.whole is (where == "memory")
    assert len(catalogue.nearest.memory) == (600 if where == "memory" else 0)


@pytest.mark.parametrize("kept", [True, False])
def test_questions_that_are_answered_together_have_the_answers_that_each_has_alone(
    kept: bool,
    url: str,
    pipeline: Pipeline,
    items: pl.DataFrame,
    vectors: NDArray[np.float32],
) -> None:
    made = _catalogue(url, pipeline, keep_vectors=300 if kept else 0)
    client = TestClient(create_app(made))
    for some in items.iter_slices(200):
        client.post("/v1/tokenize", json={"items": some.to_dicts()}).raise_for_status()
        made.follow()
    names = items["item_id"].to_list()
    questions = [
        Question(of, k, exact)
        for row in (3, 250, 500)
        for of, k in ((names[row], 5), (vectors[row], 9), ("unknown", 2), (names[row + 1], 599))
        for exact in (True, False)
    ]
    together = made.similar(questions)
    alone = [made.similar([question])[0] for question in questions]
    assert [found is None for found in together] == [
        isinstance(question.of, str) and question.of == "unknown" for question in questions
    ]
    for found, expected, question in zip(together, alone, questions, strict=True):
        if found is None or expected is None:
            assert found is expected
            continue
        assert len(found) == question.k
        assert [near.item for near in found] == [near.item for near in expected]
        for figure in ("distance", "cosine", "exact"):
            assert [getattr(near, figure) for near in found] == pytest.approx(
                [getattr(near, figure) for near in expected], abs=1e-5
            )
    assert any(near.exact for found in together for near in found or ()) is kept
    made.registry.database.close()


def test_codes_answer_where_they_are_asked_to(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline
) -> None:
    """By distance, as an index of codes does; the cosine is that of the decoded vectors."""
    found = _ask(client, item_id=items["item_id"][7], k=10, exact=False)
    distances = [each["distance"] for each in found]
    assert distances == sorted(distances)
    assert not any(each["exact"] for each in found)
    decoded = pipeline.vectors_of_codes(np.asarray([each["codes"] for each in found], np.uint16))
    own = client.get(f"/v1/items/{items['item_id'][7]}").json()["codes"]
    query = pipeline.vectors_of_codes(np.asarray([own], np.uint16))[0]
    assert [each["cosine"] for each in found] == pytest.approx(_cosines(decoded, query), abs=1e-3)


def test_an_item_taken_over_by_its_id_is_compared_by_its_codes(
    catalogue: Catalogue, client: TestClient, items: pl.DataFrame
) -> None:
    """Until its vector is given; then it is found by it."""
    lone = items["item_id"][7]
    vectors = catalogue.nearest.vectors
    [number] = [item.number for item in catalogue.registry.get([lone]).values()]
    with catalogue.registry.database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM semid_vectors WHERE number = {number}")
    assert vectors.lacking([lone, items["item_id"][8]]) == {lone}
    exact = {each["item_id"]: each["exact"] for each in _ask(client, item_id="D00004", k=599)}
    assert not exact.pop(lone)
    assert all(exact.values())
    own = catalogue.pipeline.embed(catalogue.pipeline.texts([items.row(7, named=True)]))
    assert vectors.keep([([lone, "unknown"], np.repeat(own, 2, axis=0))], print) == 1
    assert vectors.keep([([lone], own)], print) == 0
    assert all(each["exact"] for each in _ask(client, item_id="D00004", k=599))
    assert len(catalogue.nearest.memory) == 600


def test_a_removed_item_leaves_no_vector_and_comes_back_with_one(
    catalogue: Catalogue, client: TestClient, items: pl.DataFrame
) -> None:
    gone = items["item_id"][7]
    client.delete(f"/v1/items/{gone}").raise_for_status()
    assert catalogue.nearest.vectors.count() == items.height - 1
    assert gone not in [each["item_id"] for each in _ask(client, item_id="D00004", k=1000)]
    assert len(catalogue.nearest.memory) == items.height - 1
    client.post("/v1/tokenize", json={"items": [items.row(7, named=True)]}).raise_for_status()
    assert catalogue.nearest.vectors.count() == items.height
    near = {each["item_id"]: each for each in _ask(client, item_id="D00004", k=1000)}
    assert near[gone]["exact"]
    assert len(catalogue.nearest.memory) == items.height


def test_other_processes_and_restarts_find_by_the_same_vectors(
    url: str, client: TestClient, pipeline: Pipeline, items: pl.DataFrame
) -> None:
    other = _catalogue(url, pipeline)
    again = TestClient(create_app(other))
    asked: dict[str, Any] = {"item_id": items["item_id"][3], "k": 20}
    assert _ask(again, **asked) == _ask(client, **asked)
    client.delete(f"/v1/items/{items['item_id'][5]}").raise_for_status()
    twin = items.row(3, named=True) | {"item_id": "twin"}
    client.post("/v1/tokenize", json={"items": [twin]}).raise_for_status()
    found = _ask(again, **asked)
    assert found == _ask(client, **asked)
    assert [found[0][name] for name in ("item_id", "exact")] == ["twin", True]
    assert found[0]["cosine"] == pytest.approx(1, abs=1e-3)
    other.registry.database.close()


def test_vectors_belong_to_one_tokenizer(
    url: str, pipeline: Pipeline, reassigning: Pipeline, items: pl.DataFrame
) -> None:
    """Of two tokenizers each has its own; the default that is promoted answers by its own."""
    one, two = _catalogue(url, pipeline), _catalogue(url, reassigning)
    client = TestClient(create_app(one, others=[two]))
    both = {"items": items.head(50).to_dicts()}
    client.post("/v1/tokenize", json=both).raise_for_status()
    assert (one.nearest.vectors.count(), two.nearest.vectors.count()) == (50, 0)
    path = f"/v1/tokenize?tokenizer={reassigning.fingerprint}"
    client.post(path, json=both).raise_for_status()
    assert two.nearest.vectors.count() == 50
    before = _ask(client, item_id="D00004", k=49)
    promote(one.registry.database, reassigning.fingerprint)
    client.app.state.tokenizers.refresh()  # type: ignore[attr-defined]
    after = _ask(client, item_id="D00004", k=49)
    assert [each["item_id"] for each in after] == [each["item_id"] for each in before]
    assert [each["semantic_id"] for each in after] != [each["semantic_id"] for each in before]
    client.delete("/v1/items/D00007").raise_for_status()
    assert (one.nearest.vectors.count(), two.nearest.vectors.count()) == (49, 49)
    one.registry.database.close()
    two.registry.database.close()


def test_a_failed_write_leaves_neither_id_nor_vector(
    url: str, catalogue: Catalogue, items: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ID and its vector are written in one transaction."""
    client = TestClient(create_app(catalogue), raise_server_exceptions=False)

    def broken(*_: object) -> None:
        raise RuntimeError("stopped between the ID and its vector")

    monkeypatch.setattr("service.registry.registry.insert_vectors", broken)
    body = {"items": items.head(5).to_dicts()}
    assert client.post("/v1/tokenize", json=body).status_code == 500
    assert (catalogue.registry.count(), catalogue.nearest.vectors.count()) == (0, 0)
    monkeypatch.undo()
    client.post("/v1/tokenize", json=body).raise_for_status()
    assert (catalogue.registry.count(), catalogue.nearest.vectors.count()) == (5, 5)
    assert url


def test_no_vector_is_kept_beyond_the_size_that_is_set(
    tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame
) -> None:
    made = _catalogue(sqlite_url(tmp_path), pipeline, keep_vectors=30)
    client = TestClient(create_app(made))
    for some in items.head(60).iter_slices(20):
        client.post("/v1/tokenize", json={"items": some.to_dicts()}).raise_for_status()
        made.follow()
    assert made.nearest.vectors.count() == 20
    found = _ask(client, item_id="D00004", k=59)
    assert len(found) == 59
    assert 0 < sum(each["exact"] for each in found) < 59
    made.registry.database.close()


def test_recall_is_measured(catalogue: Catalogue, client: TestClient) -> None:
    """All vectors are in memory, so that they find every neighbour, and codes do not."""
    catalogue.follow()
    assert catalogue.recall.due()
    found = catalogue.recall.measure()
    assert found is not None
    assert found.vectors > 0.99  # float16 may turn two equal neighbours round
    assert 0 < found.codes < 1
    assert not catalogue.recall.due()
    told = client.get("/metrics").text
    label = f'tokenizer="{catalogue.pipeline.fingerprint[:16]}"'
    assert f'semid_similar_recall{{{label},way="vectors"}} {found.vectors}' in told
    assert f'semid_similar_recall{{{label},way="codes"}} {found.codes}' in told


def test_an_exported_registry_brings_its_vectors(
    catalogue: Catalogue, client: TestClient, tmp_path: Path, pipeline: Pipeline
) -> None:
    asked: dict[str, Any] = {"item_id": "D00004", "k": 20}
    before = _ask(client, **asked)
    export_registry(catalogue.registry.database, tmp_path / "r.parquet")
    folder = tmp_path / "other"
    folder.mkdir()
    other = _catalogue(sqlite_url(folder), pipeline)
    import_registry(other.registry.database, ImportFile.of(tmp_path / "r.parquet"))
    assert _ask(TestClient(create_app(other)), **asked) == before
    other.registry.database.close()
