"""All of Amazon Beauty (12,101 items) through the real commands and the real service.

Run by `make test-slow` with SEMID_DATA set; about ten minutes on two cores.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tests.e2e.server import SEMID, run_semid, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ITEMS = 12_101
KNOWN = 10_000
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"


@pytest.fixture(scope="module")
def beauty(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the prepared data, the default tokenizer of seed 0, and the IDs."""
    source = real_data / "amazon2014" / "Beauty"
    folder = tmp_path_factory.mktemp("beauty")
    told = run_semid(
        "prepare", "amazon", "--reviews", source / "reviews_Beauty_5.json.gz",
        "--metadata", source / "meta_Beauty.json.gz", "--out", folder / "data",
    )  # fmt: skip
    assert "22,363 users, 12,101 items, 198,502 interactions" in told
    items, cache = folder / "data/items.parquet", ("--cache", folder / "cache")
    run_semid("embed", items, "--out", folder / "vectors.parquet", *cache)
    started = time.monotonic()
    run_semid("fit", items, "--out", folder / "tok", *cache)
    seconds = time.monotonic() - started
    print(f"semid fit after embedding: {seconds:.0f} s")
    assert seconds < 300
    _tokenize(folder, "data/items.parquet", "ids.parquet")
    return folder


def _tokenize(folder: Path, source: str, out: str, *more: object) -> pl.DataFrame:
    run_semid(
        "tokenize", folder / source, "--tokenizer", folder / "tok", "--out", folder / out,
        "--cache", folder / "cache", *more,
    )  # fmt: skip
    return pl.read_parquet(folder / out)


def test_health(beauty: Path) -> None:
    metrics = json.loads(run_semid("inspect", beauty / "tok", "--json"))["metrics"]
    print(json.dumps({k: v for k, v in metrics.items() if k != "history"}, indent=2))
    assert all(level["utilization"] >= 0.99 for level in metrics["levels"])
    assert metrics["unique_share"] >= 0.985
    assert 0 < metrics["held_out_error"] < 1
    assert 0 < metrics["faiss_residual_quantizer"]["held_out_error"] < 1


def test_on_the_vectors_themselves_grit_loses_less_than_faiss(beauty: Path) -> None:
    """Both have the same code length and beam; validation items choose the step."""
    run_semid(
        "fit", beauty / "data/items.parquet", "--out", beauty / "accurate",
        "--cache", beauty / "cache", "--network", "identity", "--search-beam", 5, "--steps", 300,
    )  # fmt: skip
    metrics = json.loads(run_semid("inspect", beauty / "accurate", "--json"))["metrics"]
    faiss = metrics["faiss_residual_quantizer"]
    print(f"grit {metrics['held_out_error']:.4f}, faiss {faiss['held_out_error']:.4f}")
    assert faiss["beam"] == 5
    assert metrics["held_out_error"] < 0.97 * faiss["held_out_error"]
    assert metrics["train_error"] < 0.95 * faiss["train_error"]
    assert all(level["utilization"] >= 0.99 for level in metrics["levels"])


def test_ids_are_distinct_and_the_same_at_every_batch_size(beauty: Path) -> None:
    ids = pl.read_parquet(beauty / "ids.parquet")
    assert ids.height == ids["semantic_id"].n_unique() == ITEMS
    first = (beauty / "ids.parquet").read_bytes()
    _tokenize(beauty, "data/items.parquet", "again.parquet", "--batch-size", 1024)
    assert (beauty / "again.parquet").read_bytes() == first
    pl.read_parquet(beauty / "data/items.parquet").head(1000).write_parquet(beauty / "part.parquet")
    for size in (7, 1):  # with empty caches, so that the encoder gets these batches too
        part = _tokenize(
            beauty, "part.parquet", f"part-{size}.parquet",
            "--batch-size", size, "--cache", beauty / f"cache-{size}",
        )  # fmt: skip
        assert part.equals(ids.head(1000))


def test_ids_given_stay_given_offline_and_over_http(beauty: Path, tmp_path: Path) -> None:
    """First 10,000 items, then all: offline with --known, and by POST after importing the IDs."""
    items = pl.read_parquet(beauty / "data/items.parquet")
    items.sample(KNOWN, seed=0).write_parquet(beauty / "some.parquet")
    some = _tokenize(beauty, "some.parquet", "some-ids.parquet")
    grown = _tokenize(
        beauty, "data/items.parquet", "grown.parquet", "--known", beauty / "some-ids.parquet"
    )
    assert grown.head(KNOWN).equals(some)
    assert grown.height == grown["semantic_id"].n_unique() == ITEMS
    offline = dict(grown.select("item_id", "semantic_id").iter_rows())
    with (
        serving(
            tmp_path / "log", "--tokenizer", beauty / "tok", "--ids", beauty / "some-ids.parquet",
            "--database", f"sqlite:///{tmp_path / 'semid.db'}",
        ) as address,
        httpx.Client(base_url=address, timeout=600) as client,
    ):  # fmt: skip
        assert _post_all(client, items.to_dicts()) == offline


def test_http_answers_equal_the_offline_file(beauty: Path, tmp_path: Path) -> None:
    items = pl.read_parquet(beauty / "data/items.parquet").to_dicts()
    ids = pl.read_parquet(beauty / "ids.parquet")
    with (
        serving(
            tmp_path / "log", "--tokenizer", beauty / "tok",
            "--database", f"sqlite:///{tmp_path / 'semid.db'}",
        ) as address,
        httpx.Client(base_url=address, timeout=600) as client,
    ):  # fmt: skip
        online = _post_all(client, items)
        near = client.post("/v1/similar", json={"item_id": items[0]["item_id"], "k": 10}).json()
    assert online == dict(ids.select("item_id", "semantic_id").iter_rows())
    assert len(near["items"]) == 10


def test_neighbours_share_the_category_more_often_than_chance(beauty: Path) -> None:
    """Items under one first code share a category path far more often than random pairs."""
    items = pl.read_parquet(beauty / "data/items.parquet")
    ids = pl.read_parquet(beauty / "ids.parquet")
    joined = items.join(ids, on="item_id").with_columns(
        first=pl.col("codes").list.get(0), path=pl.col("categories").list.join(">")
    )

    def agreement(group: pl.Expr) -> float:
        pairs = joined.group_by(group.alias("group")).agg(
            pl.len(), same=pl.col("path").value_counts().struct.field("count").pow(2).sum()
        )
        return float(pairs["same"].sum()) / float(pairs["len"].pow(2).sum())

    by_code, by_chance = agreement(pl.col("first")), agreement(pl.col("first").shuffle(seed=0))
    print(f"pairs of one path: {by_code:.3f} under one first code, {by_chance:.3f} by chance")
    assert by_code > 3 * by_chance


def test_tokenize_stays_under_two_gigabytes(beauty: Path) -> None:
    """There is no cache, so that the encoder runs too; ru_maxrss is in KiB on Linux."""
    arguments = [
        "tokenize", beauty / "data/items.parquet", "--tokenizer", beauty / "tok",
        "--out", beauty / "fresh.parquet", "--cache", beauty / "empty-cache",
    ]  # fmt: skip
    program = (
        f"import subprocess; subprocess.run({[*SEMID, *map(str, arguments)]!r}, check=True); {PEAK}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    peak = int(done.stdout.split()[-1]) * 1024
    print(f"peak memory {peak / 1e9:.2f} GB")
    assert peak < 2e9
    assert (beauty / "fresh.parquet").read_bytes() == (beauty / "ids.parquet").read_bytes()


def _post_all(client: httpx.Client, items: list[dict[str, Any]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for row in range(0, len(items), 1000):
        answer = client.post("/v1/tokenize", json={"items": items[row : row + 1000]})
        assert answer.status_code == 200, answer.text
        given |= {item["item_id"]: item["semantic_id"] for item in answer.json()["items"]}
    return given
