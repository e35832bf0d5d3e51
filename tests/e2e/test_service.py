"""Real processes: the offline command and the HTTP service agree; services share a registry."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from data_prep.demo import demo_items
from tests.e2e.server import run_semid, serving

NEW_ITEMS = 2000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a catalogue, its tokenizer, and the IDs of its first items."""
    folder = tmp_path_factory.mktemp("e2e")
    items = demo_items(1000)
    items.write_parquet(folder / "items.parquet")
    items.head(800).write_parquet(folder / "first.parquet")
    run_semid(
        "fit", folder / "items.parquet", "--out", folder / "tok", "--encoder", "hashing",
        "--steps", 60, "--codebook-size", 64, "--cache", folder / "cache", "--no-baseline",
    )  # fmt: skip
    for source, out, more in (
        ("first", "first-ids", ()),
        ("items", "all-ids", ("--known", folder / "first-ids.parquet")),
    ):
        run_semid(
            "tokenize", folder / f"{source}.parquet", "--tokenizer", folder / "tok",
            "--out", folder / f"{out}.parquet", "--cache", folder / "cache", *more,
        )  # fmt: skip
    return folder


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'semid.db'}"


@pytest.fixture
def client(folder: Path, tmp_path: Path, database: str) -> Iterator[httpx.Client]:
    """Return a client of a service that imported the first 800 IDs and all titles."""
    with (
        serving(
            tmp_path / "log", "--tokenizer", folder / "tok", "--database", database,
            "--ids", folder / "first-ids.parquet", "--catalogue", folder / "items.parquet",
        ) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):  # fmt: skip
        yield client


def test_a_stop_as_soon_as_it_answers_is_in_order(
    folder: Path, tmp_path: Path, database: str
) -> None:
    log = tmp_path / "log"
    with serving(log, "--tokenizer", folder / "tok", "--database", database):
        pass  # `serving` asserts the exit status
    assert "stopped" in log.read_text().splitlines()[-1]


def _post(client: httpx.Client, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answer = client.post("/v1/tokenize", json={"items": items})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_an_item_has_one_id_everywhere(client: httpx.Client, folder: Path) -> None:
    """Imported IDs stay; posted items get the same IDs as with `tokenize --known` offline."""
    items = pl.read_parquet(folder / "items.parquet")
    offline = pl.read_parquet(folder / "all-ids.parquet")
    first = pl.read_parquet(folder / "first-ids.parquet")
    assert offline.head(800).equals(first)
    online = _post(client, items.to_dicts())
    assert [item["semantic_id"] for item in online] == offline["semantic_id"].to_list()
    assert [item["status"] for item in online] == ["known"] * 800 + ["created"] * 200
    taken = client.get("/v1/items/D00000").json()
    assert taken["title"] == items["title"][0]
    near = client.post("/v1/similar", json={"text": items["title"][3], "k": 3}).json()["items"]
    assert len(near) == 3
    assert client.get("/health/ready").json() == {"status": "ready"}
    assert client.get("/v1/tokenizer").json()["items"] == 1000


def test_the_service_keeps_its_ids_over_a_restart(
    folder: Path, tmp_path: Path, database: str
) -> None:
    items = pl.read_parquet(folder / "items.parquet").to_dicts()
    arguments = ("--tokenizer", folder / "tok", "--database", database)
    answers = []
    for run, part in ((0, items[::-1][:300]), (1, items)):
        with (
            serving(tmp_path / f"log{run}", *arguments) as address,
            httpx.Client(base_url=address, timeout=60) as client,
        ):
            answers.append({item["item_id"]: item for item in _post(client, part)})
            near = client.post("/v1/similar", json={"item_id": "D00999", "k": 400}).json()
            assert len(near["items"]) == min(400, len(answers[-1]) - 1)
    for item_id, before in answers[0].items():
        assert answers[1][item_id] == before | {"status": "known"}


@pytest.fixture(scope="module")
def reassigning(folder: Path) -> Path:
    """Return a tokenizer with the policy reassign and 4,096 IDs."""
    run_semid(
        "fit", folder / "items.parquet", "--out", folder / "reassigning", "--encoder", "hashing",
        "--steps", 60, "--codebook-size", 64, "--levels", 2, "--cache", folder / "cache",
        "--policy", "reassign", "--no-baseline",
    )  # fmt: skip
    return folder / "reassigning"


@pytest.mark.parametrize("policy", ["suffix", "reassign"])
def test_two_services_posting_the_same_new_items_agree(
    folder: Path, reassigning: Path, tmp_path: Path, database: str, policy: str
) -> None:
    """Two processes on one database get 2,000 items with many equal codes, in opposite orders."""
    tokenizer = reassigning if policy == "reassign" else folder / "tok"
    items = [
        {"item_id": f"n{number}", "title": f"Kettle {number % 300}"} for number in range(NEW_ITEMS)
    ]
    arguments = ("--tokenizer", tokenizer, "--database", database)
    with (
        serving(tmp_path / "log1", *arguments) as one,
        serving(tmp_path / "log2", *arguments) as two,
    ):

        def post_all(address: str, order: list[dict[str, Any]]) -> dict[str, str]:
            with httpx.Client(base_url=address, timeout=120) as client:
                parts = [_post(client, order[row : row + 100]) for row in range(0, NEW_ITEMS, 100)]
            return {item["item_id"]: item["semantic_id"] for part in parts for item in part}

        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(post_all, one, items), pool.submit(post_all, two, items[::-1])]
            first, second = (job.result() for job in jobs)
    assert first == second
    assert len(first) == len(set(first.values())) == NEW_ITEMS
    if policy == "reassign":
        assert {semantic_id.count("-") for semantic_id in first.values()} == {1}


def test_bad_requests_end_in_problems_and_the_service_goes_on(client: httpx.Client) -> None:
    before = client.get("/v1/tokenizer").json()["items"]
    many = [{"item_id": f"m{number}", "title": "x"} for number in range(1001)]
    wrong: list[tuple[int, dict[str, Any]]] = [
        (422, {"json": {"items": many}}),
        (422, {"json": {"items": [{"item_id": "a", "title": "x"}, {"item_id": ""}]}}),
        (422, {"json": {"items": [{"item_id": "a", "vector": [1.0]}]}}),
        (400, {"content": "{", "headers": {"content-type": "application/json"}}),
    ]
    for status, request in wrong:
        answer = client.post("/v1/tokenize", **request)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert client.get("/v1/items?prefix=63-63-63-63").status_code == 404
    assert client.get("/v1/tokenizer").json()["items"] == before


def test_two_services_may_start_on_a_new_database_at_once(
    folder: Path, tmp_path: Path, database: str
) -> None:
    arguments = ("--tokenizer", folder / "tok", "--database", database)

    def start(number: int) -> int:
        with serving(tmp_path / f"log{number}", *arguments) as address:
            return httpx.get(f"{address}/health/ready", timeout=60).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(start, range(2))) == [200, 200]
