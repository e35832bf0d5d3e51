"""Five minutes of mixed load on a real process: answers are 200 or 429, and memory stays flat."""

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise

import httpx
import pytest

from service.engine.item_cache import MAX_ITEMS
from tests.bench.load import Load, put_under_load
from tests.bench.serving import requests_of, small_service
from tests.e2e.server import resident_bytes

SECONDS = float(os.environ.get("SEMID_SOAK_SECONDS", "300"))
WARM_UP = 0.4  # share of the time
MAX_GROWTH = 48 * 2**20  # bytes, including the registry's page caches


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_mixed_load_gets_200_or_429_and_memory_stays_flat() -> None:
    """More look-ups, single vectors, batches, msgpack and texts than the service can answer."""
    # Kept vectors take 0.8 kB of memory a new item, up to 256 MiB: that growth is not looked for.
    with small_service("--queue", 1000, "--keep-vectors", 0) as (address, texts):
        kinds = requests_of(texts)
        # Registers the items that are looked up.
        kinds["vector"].load(address, 0, clients=32, seconds=SECONDS / 20)
        # A machine may fill the cache of items early or late; it is full before memory is read.
        for first in count(10_000_000, 1_000_000):
            kinds["vectors_64"].load(address, first, clients=8, seconds=5)
            if httpx.get(f"{address}/v1/tokenizer", timeout=60).json()["items"] > MAX_ITEMS:
                break
        resident: list[float] = []
        with ThreadPoolExecutor(len(kinds)) as pool:
            jobs = [
                pool.submit(
                    put_under_load, address, *kind.arguments(1_000_000),
                    clients=32, seconds=SECONDS,
                )
                for kind in kinds.values()
            ]  # fmt: skip
            while not all(job.done() for job in jobs):
                resident.append(resident_bytes(address))
                time.sleep(SECONDS / 60)
            loads: list[Load] = [job.result() for job in jobs]
        ready = httpx.get(f"{address}/health/ready", timeout=60).status_code
    statuses = sum((load.statuses for load in loads), Counter[int]())
    assert ready == 200
    assert set(statuses) <= {200, 429}, statuses
    assert not sum(load.failed for load in loads)
    assert all(load.statuses[200] for load in loads)
    warm = resident[int(len(resident) * WARM_UP) :]
    assert max(warm) - warm[0] < MAX_GROWTH, [f"{b - a:+,.0f}" for a, b in pairwise(resident)]
