"""Requests that are answered in a thread: so many wait at a time, and each for so long."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.engine.capacity import Capacity
from service.engine.catalogue import Catalogue
from service.http.app import create_app
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tokenizer.pipeline import Pipeline

DEPTH = 'semid_queue_items{stage="threads"}'


class Held(Registry):
    """A registry whose counts wait for `answer`."""

    answer: threading.Event

    def count_with_prefix(self, prefix: tuple[int, ...]) -> int:
        self.answer.wait(60)
        return super().count_with_prefix(prefix)


@pytest.fixture
def registry(tmp_path: Path, pipeline: Pipeline) -> Iterator[Held]:
    database = open_database(sqlite_url(tmp_path))
    registry = Held(database, pipeline.fingerprint, pipeline.levels)
    registry.answer = threading.Event()
    yield registry
    registry.answer.set()
    database.close()


def test_those_that_wait_are_few_and_have_an_answer_in_time(
    pipeline: Pipeline, registry: Held
) -> None:
    app = create_app(Catalogue(pipeline, registry), capacity=Capacity(queue=2, timeout=1))

    async def main() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asked = [asyncio.create_task(client.get("/v1/items")) for _ in range(3)]
            await asyncio.sleep(0.2)
            metrics = (await client.get("/metrics")).text
            assert f"{DEPTH} 2.0" in metrics
            statuses = sorted([(await each).status_code for each in asked])
            assert statuses == [429, 503, 503]
            late = next(each.result() for each in asked if each.result().status_code == 503)
            assert late.headers["content-type"] == "application/problem+json"
            assert "no answer within 1 s" in late.json()["detail"]
            assert (await client.get("/v1/items")).status_code == 429  # the threads go on
            registry.answer.set()
            await asyncio.sleep(0.2)
            assert f"{DEPTH} 0.0" in (await client.get("/metrics")).text
            assert (await client.get("/v1/items")).json()["total"] == 0

    asyncio.run(main())
