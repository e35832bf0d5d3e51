"""Two real processes on one PostgreSQL agree on the default tokenizer and on the items."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.text import TextTemplate
from tests.conftest import SMALL
from tests.e2e.server import run_semid, serving
from tests.service.databases import Postgres
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit

Addresses = tuple[str, str]
SOON = 2.0  # seconds within which a replica follows


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    server = Postgres(durable=False)
    yield server.new()
    server.close()


@pytest.fixture(scope="module")
def next_tokenizer(
    tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float32], encoder: Encoder
) -> Path:
    """Return a tokenizer of two levels, the successor of the one with three."""
    folder = tmp_path_factory.mktemp("fitted") / "next"
    shorter = replace(SMALL, quantizer=replace(SMALL.quantizer, levels=2))
    fit(folder, vectors, shorter, TextTemplate(), encoder, "digest", baseline=False)
    return folder


@pytest.fixture(scope="module")
def replicas(
    tokenizer_folder: Path,
    next_tokenizer: Path,
    database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Addresses]:
    logs = tmp_path_factory.mktemp("replicas")
    held = ("--tokenizer", tokenizer_folder, "--tokenizer", next_tokenizer, "--database", database)
    with (
        serving(logs / "one", *held) as one,
        serving(logs / "two", *held) as two,
    ):
        yield one, two


def _until(condition: Callable[[], bool]) -> float:
    """Wait until a condition holds, and return the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 10
        time.sleep(0.02)
    return time.monotonic() - start


def _is_default(address: str, fingerprint: str) -> bool:
    told: str = httpx.get(f"{address}/v1/tokenizer").json()["fingerprint"]
    return told == fingerprint


def test_a_default_is_promoted_and_taken_back_while_both_answer(
    replicas: Addresses,
    database: str,
    items: pl.DataFrame,
    pipeline: Pipeline,
    next_tokenizer: Path,
) -> None:
    chosen = Pipeline.load(next_tokenizer)
    body = {"items": items.head(50).to_dicts()}
    for query in ({}, {"tokenizer": chosen.fingerprint}):
        answer = httpx.post(f"{replicas[0]}/v1/tokenize", json=body, params=query)
        assert answer.status_code == 200, answer.text
    stop = Event()

    def look_up(address: str) -> list[int]:
        """Return the number of codes of each answer, in order."""
        levels: list[int] = []
        with httpx.Client(base_url=address) as client:
            while True:
                last = stop.is_set()
                answer = client.get(f"/v1/items/D{len(levels) % 50:05}")
                levels.append(len(answer.raise_for_status().json()["codes"]))
                if last:
                    return levels

    with ThreadPoolExecutor() as pool:
        looking = [pool.submit(look_up, address) for address in replicas]
        try:
            for promoted in (chosen, pipeline):
                run_semid("promote", promoted.fingerprint[:12], "--database", database)
                for address in replicas:
                    assert _until(partial(_is_default, address, promoted.fingerprint)) < SOON
        finally:
            stop.set()
        for one in looking:
            assert [levels for levels, _ in groupby(one.result())] == [3, 2, 3]


def test_what_is_posted_to_one_is_similar_on_the_other(replicas: Addresses) -> None:
    one, two = replicas
    kettle = {"items": [{"item_id": "k", "title": "Copper kettle"}]}
    semantic_id = httpx.post(f"{one}/v1/tokenize", json=kettle).json()["items"][0]["semantic_id"]

    def found() -> bool:
        nearest = httpx.post(f"{two}/v1/similar", json={"text": "Copper kettle"}).json()["items"]
        return "k" in [item["item_id"] for item in nearest]

    assert _until(found) < SOON
    assert httpx.get(f"{two}/v1/items/k").json()["semantic_id"] == semantic_id
    assert httpx.delete(f"{two}/v1/items/k").status_code == 204
    assert _until(lambda: httpx.get(f"{one}/v1/items/k").status_code == 404) < SOON
    assert not found()
