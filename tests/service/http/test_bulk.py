"""`POST /v1/tokenize:bulk` and the spool behind it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.http.routes import bulk
from service.http.routes.response_buffer import ResponseBuffer
from service.registry import Registry, open_database
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture
def registry(tmp_path: Path, pipeline: Pipeline) -> Iterator[Registry]:
    database = open_database(f"sqlite:///{tmp_path / 's.db'}")
    yield Registry(database, pipeline.fingerprint, pipeline.levels)
    database.close()


@pytest.fixture
def client(pipeline: Pipeline, registry: Registry) -> Iterator[TestClient]:
    app = create_app(Catalogue(pipeline, registry), capacity=Capacity(queue=300))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def _bulk(client: TestClient, lines: list[bytes]) -> list[dict[str, Any]]:
    answer = client.post("/v1/tokenize:bulk", content=b"\n".join(lines), headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.content.splitlines()]


def test_lines_get_the_ids_of_the_offline_file_in_order(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline
) -> None:
    offline = tokenize_catalogue(items, pipeline)
    lines = [json.dumps(item).encode() for item in items.to_dicts()]
    answers = _bulk(client, lines)
    assert [answer["line"] for answer in answers] == list(range(1, 601))
    assert [answer["semantic_id"] for answer in answers] == offline["semantic_id"].to_list()
    assert {answer["status"] for answer in answers} == {"created"}
    again = _bulk(client, lines[::-1])
    assert [answer["semantic_id"] for answer in again] == offline["semantic_id"].to_list()[::-1]
    assert {answer["status"] for answer in again} == {"known"}


def test_a_bad_line_answers_as_a_problem_and_the_rest_goes_on(
    client: TestClient, vectors: NDArray[np.float32], registry: Registry
) -> None:
    vector = vectors[0].tolist()
    lines = [
        b'{"item_id": "a", "title": "Soap"}',
        b'{"item_id": "b", "title": ',
        b"",
        b'{"item_id": "", "title": "Soap"}',
        b'{"item_id": "c"}',
        json.dumps({"item_id": "d", "vector": [*vector[:-1], 1e39]}).encode(),
        json.dumps({"item_id": "e", "vector": vector[:-1]}).encode(),
        json.dumps({"item_id": "f", "vector": [2e38] * 256}).encode(),
        b"\xff",
        b'{"item_id": "a", "title": "Another soap"}',
        json.dumps({"item_id": "g", "vector": vector}).encode(),
    ]
    answers = {answer["line"]: answer for answer in _bulk(client, lines)}
    assert list(answers) == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert [line for line in answers if "problem" not in answers[line]] == [1, 10, 11]
    assert answers[1]["semantic_id"] == answers[10]["semantic_id"]
    assert (answers[1]["status"], answers[10]["status"]) == ("created", "known")
    assert {answers[line]["problem"]["status"] for line in (2, 9)} == {400}
    paths = {4: "item_id", 6: "vector/255", 7: "vector", 8: "vector"}
    for line, path in paths.items():
        assert answers[line]["problem"]["errors"][0]["path"] == path
    assert "none of vector, text, title" in answers[5]["problem"]["detail"]
    assert "has components beyond" in answers[8]["problem"]["detail"]
    assert registry.count() == 2


def test_suffixes_count_in_the_order_of_the_lines(
    client: TestClient, items: pl.DataFrame, pipeline: Pipeline
) -> None:
    """Items with the same codes, by text and by vector in turns: none overtakes another."""
    row = items.row(0, named=True)
    vector = pipeline.embed(pipeline.texts([row]))[0].tolist()
    lines = []
    for number in range(60):
        content = {"text": pipeline.texts([row])[0]} if number % 2 == 0 else {"vector": vector}
        lines.append(json.dumps({"item_id": f"same-{number}", **content}).encode())
    answers = _bulk(client, lines)
    assert len({tuple(answer["codes"]) for answer in answers}) == 1
    assert [answer["suffix"] for answer in answers] == list(range(60))


def test_another_media_type_is_refused_and_so_is_a_full_queue(client: TestClient) -> None:
    body = b'{"item_id": "a", "title": "Soap"}'
    assert client.post("/v1/tokenize:bulk", content=body).status_code == 415
    with client.app.state.tokenizers.named(None).admission.admitted(300):  # type: ignore[attr-defined]
        refused = client.post("/v1/tokenize:bulk", content=body, headers=NDJSON)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def _parts(pieces: list[bytes]) -> list[list[tuple[int, bytes | None]]]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def main() -> list[list[tuple[int, bytes | None]]]:
        return [part async for part in bulk._parts(body(), longest=10)]

    return asyncio.run(main())


def test_lines_are_the_same_however_the_body_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is None, and what is held of it stays within the limit."""
    monkeypatch.setattr(bulk, "LINES_AT_ONCE", 2)
    body = b"one\n\ntwo\r\n" + b"x" * 25 + b"\nthree\n" + b"y" * 12 + b"\n" + b"z" * 11
    expected = [(1, b"one"), (3, b"two\r"), (4, None), (5, b"three"), (6, None), (7, None)]
    for size in (1, 2, 3, 7, 11, 100):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        parts = _parts(pieces)
        assert [line for part in parts for line in part] == expected, size
        assert max(map(len, parts)) <= 2


def test_the_spool_keeps_order_and_its_writer_does_not_wait() -> None:
    async def main() -> None:
        with ResponseBuffer(most=10**9) as spool:
            data = bytes(range(256)) * 8
            for _ in range(1000):  # 2 MB: beyond what is kept in memory
                await spool.write(data)
            spool.end()
            read = b""
            while piece := await spool.read():
                read += piece
            assert read == data * 1000

    asyncio.run(main())


def test_the_spools_writer_waits_at_its_bound_until_it_is_read() -> None:
    async def main() -> None:
        with ResponseBuffer(most=10) as spool:
            await spool.write(b"x" * 11)
            writing = asyncio.ensure_future(spool.write(b"y"))
            await asyncio.sleep(0.01)
            assert not writing.done()
            assert await spool.read() == b"x" * 11
            await asyncio.wait_for(writing, 1)
            assert await spool.read() == b"y"
            reading = asyncio.ensure_future(spool.read())
            await asyncio.sleep(0.01)
            assert not reading.done()
            spool.end()
            assert await reading == b""

    asyncio.run(main())
