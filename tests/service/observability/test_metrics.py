"""Metrics of one application: what is refused, several tokenizers, and a port of their own."""

import json
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path

import polars as pl
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from service.engine.catalogue import Catalogue
from service.http.app import create_app, create_health_app
from service.http.security.guard import Access
from service.http.security.keys import KeyRing, add_key
from service.observability.telemetry import Telemetry
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tests.service.http.problem import problem_of
from tokenizer.pipeline import Pipeline

Make = Callable[..., FastAPI]
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def make(pipeline: Pipeline, reassigning: Pipeline, tmp_path: Path) -> Iterator[Make]:
    """Make applications that hold two tokenizers."""
    database = open_database(sqlite_url(tmp_path))
    one, other = (
        Catalogue(each, Registry(database, each.fingerprint, each.levels))
        for each in (pipeline, reassigning)
    )

    def made(access: Access = Access(), *, health_elsewhere: bool = False) -> FastAPI:  # noqa: B008
        return create_app(one, access, others=[other], health_elsewhere=health_elsewhere)

    yield made
    database.close()


def _values(client: TestClient, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by the values of its labels, in the order of their names."""
    text = client.get("/metrics").text
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_each_tokenizer_has_its_distortion_and_all_share_the_rest(
    make: Make, items: pl.DataFrame, pipeline: Pipeline, reassigning: Pipeline
) -> None:
    names = [pipeline.fingerprint[:16], reassigning.fingerprint[:16]]
    rows = items.head(20).to_dicts()
    with TestClient(make()) as client:
        client.post("/v1/tokenize", json={"items": rows}).raise_for_status()
        named = {"tokenizer": reassigning.fingerprint[:12]}
        lines = "\n".join(json.dumps(row) for row in rows[:5])
        bulk = client.post("/v1/tokenize:bulk", content=lines, headers=NDJSON, params=named)
        answers = [json.loads(line) for line in bulk.text.splitlines()]
        assert [len(answer["codes"]) for answer in answers] == [reassigning.levels] * 5
        looked_up = client.get("/v1/items/D00001", params=named).json()
        assert looked_up["codes"] == answers[1]["codes"]
        assert len(client.get("/v1/items/D00001").json()["codes"]) == pipeline.levels
        new = _values(client, "semid_new_item_distortion_count")
        assert new == {(names[0],): 20, (names[1],): 5}
        assert _values(client, "semid_training_distortion").keys() == {
            (split, name) for name in names for split in ("train", "held_out")
        }
        drift = _values(client, "semid_distortion_drift")
        mean = sum(answer["distortion"] for answer in answers) / 5
        held_out = float(reassigning.metrics["held_out_error"])  # type: ignore[arg-type]
        assert drift[names[1],] == pytest.approx(mean / held_out)
        assert _values(client, "semid_batch_items_sum")["encode",] == 25
        client.post("/v1/similar", json={"item_id": "D00001"}).raise_for_status()  # which follows
        assert _values(client, "semid_index_items")[names[0],] == 20
        shown = _values(client, "semid_default_tokenizer")
        assert shown == {(names[0],): 1, (names[1],): 0}


def test_items_that_wait_are_those_of_all_tokenizers(make: Make) -> None:
    app = make()
    with TestClient(app) as client:
        one, other = app.state.tokenizers
        with one.admission.admitted(3), other.admission.admitted(4):
            assert _values(client, "semid_queue_items")["admitted",] == 7
        assert _values(client, "semid_queue_items")["admitted",] == 0


def test_what_is_refused_is_counted_under_its_route(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = {"authorization": f"Bearer {add_key(file, 'writer', ['write'])}"}
    app = make(Access(KeyRing(file)))
    with TestClient(app) as client:
        for path in ("/v1/items/a", "/v1/items/b"):
            problem_of(client.get(path), 401)
        problem_of(client.get("/v1/items/a", headers=key), 403)
        problem_of(client.get("/v1/none/of/these"), 401)
        with app.state.tokenizers.named(None).admission.admitted(4096):
            full = client.post("/v1/tokenize:bulk", content=b"{}", headers=key | NDJSON)
        assert "x-request-id" in full.headers
        problem_of(full, 429)
        counted = _values(client, "semid_requests_total")
    assert counted == {
        ("GET", "/v1/items/{item_id:any}", "401"): 2,
        ("GET", "/v1/items/{item_id:any}", "403"): 1,
        ("GET", "unmatched", "401"): 1,
        ("POST", "/v1/tokenize:bulk", "429"): 1,
    }


def test_health_and_metrics_answer_beside_the_application(make: Make) -> None:
    app = make(health_elsewhere=True)
    with TestClient(app) as client, TestClient(create_health_app(app)) as beside:
        assert client.get("/v1/tokenizer").status_code == 200
        for path in ("/metrics", "/health/live", "/health/ready"):
            problem_of(client.get(path), 404)
            assert beside.get(path).status_code == 200
        problem_of(beside.get("/v1/tokenizer"), 404)
        assert _values(beside, "semid_requests_total")["GET", "/v1/tokenizer", "200"] == 1
        app.state.tokenizers.stop()
        assert "stopping" in problem_of(beside.get("/health/ready"), 503)["detail"]


def test_items_and_lines_of_bulks_are_counted(make: Make) -> None:
    with TestClient(make()) as client:
        soap = [{"item_id": name, "title": "Soap"} for name in ("a", "b")]
        for sent in (soap[:1], soap):
            client.post("/v1/tokenize", json={"items": sent}).raise_for_status()
        lines = b"no JSON\n" + b"".join(json.dumps(one).encode() + b"\n" for one in soap)
        client.post("/v1/tokenize:bulk", content=lines + b"{}\n", headers=NDJSON)
        assert _values(client, "semid_items_total") == {("created",): 2, ("known",): 3}
        counted = _values(client, "semid_bulk_lines_total")
        assert counted == {("200",): 2, ("400",): 1, ("422",): 1}


def test_drift_is_against_the_training_items_where_none_was_held_out(pipeline: Pipeline) -> None:
    fitted = copy(pipeline)
    fitted.metrics = {**pipeline.metrics, "held_out_error": None}
    telemetry = Telemetry()
    telemetry.of_new_items(fitted)([2 * pipeline.metrics["train_error"]])
    families = text_string_to_metric_families(telemetry.expose().decode())
    samples = {sample.name: sample for family in families for sample in family.samples}
    assert samples["semid_distortion_drift"].value == pytest.approx(2)
    assert samples["semid_training_distortion"].labels["split"] == "train"
