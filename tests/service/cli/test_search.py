"""`semid train-search` and the search benchmarks, from raw files to tables."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data_prep.demo import demo_interactions, demo_items
from data_prep.significance import paired_t
from recsys.benchmarks.search import run
from recsys.benchmarks.search.coding import coded
from recsys.benchmarks.search.published import COMPARABLE, PUBLISHED
from recsys.search.data.dataset import SearchDataset
from recsys.search.searcher import Searcher
from tests.generated.esci import write_esci
from tests.generated.jdsearch import write_jdsearch
from tests.service.cli.command import SMALL, Command, refused

PRODUCTS = 2000
CHANCE = 50 / PRODUCTS  # the recall of 50 products drawn at random
FAST = ("--preset", "smoke", "--encoder", "hashing", "--set", "search_beam=1")


def _metrics(out: Path) -> dict[str, dict[str, float]]:
    """Return each record's metrics by its method and tokenizer."""
    records = [json.loads(path.read_text()) for path in (out / "records").iterdir()]
    return {
        " ".join(filter(None, (record["cell"]["model"], record["cell"]["tokenizer"]))): record[
            "metrics"
        ]["all"]
        for record in records
    }


@pytest.fixture
def prepared(semid: Command, tmp_path: Path) -> Path:
    """Prepare a generated ESCI; test queries name groups that no training query names."""
    examples, products = write_esci(tmp_path / "raw", products=PRODUCTS, queries=PRODUCTS // 10)
    done = semid("prepare", "esci", "--examples", examples, "--products", products, "--out", "d")
    assert done.code == 0, done.errors
    return tmp_path / "d"


@pytest.mark.usefixtures("prepared")
def test_esci_from_published_files_to_tables(semid: Command, tmp_path: Path) -> None:
    """A right pipeline finds nearly all."""
    models = "bm25,content,bm25+content,query-popularity,dual-encoder,dual-encoder-dense"
    given = ("benchmark", "esci", "d", *FAST, "--models", models, "--out", "out")
    done = semid(*given, "--quantizers", "grit,kmeans")
    assert done.code == 0, done.errors
    assert "7/7 in " in done.errors
    found = _metrics(tmp_path / "out")
    assert len(found) == 7
    assert found["bm25"]["recall@50"] > 0.9
    assert found["content"]["recall@50"] > 0.9
    assert found["bm25+content"]["recall@50"] > 0.9
    for learner in ("dual-encoder grit-3x16", "dual-encoder kmeans-3x16"):
        assert found[learner]["recall@50"] > 20 * CHANCE
    # Without codes or content, nothing is known of products that no training query names.
    for blind in ("query-popularity", "dual-encoder-dense"):
        assert found[blind]["recall@50"] < 4 * CHANCE
    assert found["content"]["ndcg@10"] <= found["bm25"]["ndcg@10"] <= 1 + 1e-9
    text = (tmp_path / "out" / "summary.md").read_text()
    for name in ("dual-encoder", "GRIT-VQ paper: GRIT-VQ", "0.458", "0.203", "p Holm"):
        assert name in text
    # The file is a part of the published one, so that no figure stands beside a published one.
    assert "Not comparable with ours." in text
    assert "200 of the published 130,652 queries" in text
    assert "theirs | ours" not in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    test = next(
        each
        for each in summary["significance"]
        if (each["baseline"], each["metric"]) == ("dual-encoder · kmeans-3x16", "recall@50")
    )
    values = [
        np.load(tmp_path / "out" / "requests" / f"esci-us-large-E-dual-encoder-{name}-seed0.npz")[
            "recall@50"
        ]
        for name in ("grit-3x16", "kmeans-3x16")
    ]
    assert test["p_t"] == pytest.approx(paired_t(*values))
    assert (tmp_path / "out" / "latency.png").read_bytes().startswith(b"\x89PNG")
    stamps = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "records").iterdir()}
    assert semid(*given, "--quantizers", "grit,kmeans").code == 0
    assert stamps == {
        p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "records").iterdir()
    }
    shown = semid("benchmark", "tables", "out")
    assert shown.code == 0, shown.errors
    assert "bm25" in shown.output
    refused(semid("benchmark", "esci", "raw", "--out", "o"), "semid prepare esci wrote")
    (tmp_path / "d" / "interactions.parquet").touch()
    refused(semid("benchmark", "jdsearch", "d", "--out", "o"), "d holds another data set")
    assert not (tmp_path / "o").exists()
    refused(semid(*given[:3], "--models", "tfidf", "--out", "o"), "unknown model 'tfidf'")


def test_esci_with_labels_of_other_products(semid: Command, prepared: Path, tmp_path: Path) -> None:
    """Queries whose labelled products are drawn at random are answered at random."""
    table = pl.read_parquet(prepared / "queries.parquet")
    shuffled = table.with_columns(pl.col("item_id").shuffle(seed=0))
    shuffled.unique(["query_id", "item_id"]).write_parquet(prepared / "queries.parquet")
    models = ("--models", "bm25,content,dual-encoder", "--quantizers", "kmeans")
    done = semid("benchmark", "esci", "d", *FAST, *models, "--out", "out")
    assert done.code == 0, done.errors
    found = _metrics(tmp_path / "out")
    assert len(found) == 3
    assert max(each["recall@50"] for each in found.values()) < 4 * CHANCE


def test_esci_with_codes_of_other_products(
    semid: Command, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shuffled(*given: Any) -> tuple[SearchDataset, dict[str, Any]]:
        dataset, entry = coded(*given)
        order = np.random.default_rng(0).permutation(dataset.n_items)
        assert dataset.codes is not None
        return replace(dataset, codes=dataset.codes[order]), entry

    monkeypatch.setattr(run, "coded", shuffled)
    models = ("--models", "dual-encoder", "--quantizers", "kmeans")
    done = semid("benchmark", "esci", prepared, *FAST, *models, "--out", "out")
    assert done.code == 0, done.errors
    (found,) = _metrics(tmp_path / "out").values()
    assert found["recall@50"] < 4 * CHANCE


def test_the_real_sample_of_one_test_query(semid: Command, real_data: Path) -> None:
    """One request has figures, but nothing that a paired test could compare."""
    named = real_data / "esci" / "shopping_queries_dataset_{}.sample.parquet"
    files = [str(named).format(name) for name in ("examples", "products")]
    done = semid("prepare", "esci", "--examples", files[0], "--products", files[1], "--out", "d")
    assert done.code == 0, done.errors
    done = semid("benchmark", "esci", "d", *FAST, "--models", "bm25,dual-encoder", "--out", "out")
    assert done.code == 0, done.errors
    assert "216 items" in done.output
    assert "1 test requests" in done.output
    assert "Significance" not in done.output


def test_jdsearch_with_an_encoder_of_its_terms(semid: Command, tmp_path: Path) -> None:
    behaviour, products = write_jdsearch(tmp_path / "raw", items=800, users=400)
    made = semid(
        "prepare", "jdsearch", "--behaviour", behaviour, "--products", products, "--out", "d"
    )
    assert made.code == 0, made.errors
    fitted = semid(
        "fit-encoder", "d/items.parquet", "--out", "terms", "--dimension", "48", "--text-fields",
        "title,brand,categories",
    )  # fmt: skip
    assert fitted.code == 0, fitted.errors
    done = semid(
        "benchmark", "jdsearch", "d", "--preset", "smoke", "--encoder", "terms", "--models",
        "dual-encoder,dual-encoder-content,dual-encoder-content-query", "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.errors
    found = _metrics(tmp_path / "out")
    with_history = found["dual-encoder-content"]["recall@10"]
    assert with_history > 1.5 * 10 / 784
    assert "The shown products put in order" in done.output
    assert "published: TEM" in done.output
    records = list((tmp_path / "out" / "records").iterdir())
    shown = [json.loads(path.read_text())["shown"]["mrr"] for path in records]
    assert all(0 < value <= 1 for value in shown)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Write a category as Amazon's files have it, each item with a path of two levels."""
    items, folder = demo_items(60), tmp_path / "raw"
    folder.mkdir()
    with gzip.open(folder / "reviews_Toys_5.json.gz", "wt") as file:
        for row in demo_interactions(items, shoppers=150).iter_rows(named=True):
            review = {
                "reviewerID": row["user_id"],
                "asin": row["item_id"],
                "unixReviewTime": row["timestamp"],
            }
            file.write(json.dumps(review) + "\n")
    with gzip.open(folder / "meta_Toys.json.gz", "wt") as file:
        for row in items.iter_rows(named=True):
            about = {
                "asin": row["item_id"],
                "title": row["title"],
                "categories": [row["categories"]],
            }
            file.write(json.dumps(about) + "\n")
    return folder


def test_derived_queries_of_purchases(semid: Command, raw: Path, tmp_path: Path) -> None:
    done = semid(
        "benchmark", "search", raw, *FAST, "--models",
        "query-popularity,bm25,dual-encoder,dual-encoder-query,bm25+dual-encoder",
        "--codebook-sizes", "8,16", "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.errors
    found = _metrics(tmp_path / "out")
    assert "bm25+dual-encoder grit-3x8" in found
    assert found["query-popularity"]["recall@10"] > 10 / 60
    assert (tmp_path / "out" / "codebook-size.png").is_file()
    prepared = semid("benchmark", "search", raw, *FAST, "--prepare-only", "--out", "other")
    assert prepared.code == 0, prepared.errors
    assert (tmp_path / "other" / "datasets" / "Toys.safetensors").is_file()


def test_comparable_rows_are_published() -> None:
    assert set(COMPARABLE.values()) <= set(PUBLISHED)


def test_a_search_model_from_events_and_from_judgements(
    semid: Command, catalogue: Path, tmp_path: Path
) -> None:
    made = semid("fit", catalogue, *SMALL, "--out", "tok")
    assert made.code == 0, made.errors
    assert semid("tokenize", catalogue, "--tokenizer", "tok", "--out", "ids.parquet").code == 0
    items = pl.read_parquet(catalogue)
    events = demo_interactions(items, shoppers=80).join(
        items.select("item_id", query="title"), on="item_id", how="left", maintain_order="left"
    )
    events.write_parquet(tmp_path / "events.parquet")
    given = ("train-search", "ids.parquet", "--tokenizer", "tok", "--preset", "smoke")
    done = semid(*given, "--events", "events.parquet", "--set", "epochs=2", "--out", "model")
    assert done.code == 0, done.errors
    assert "validation recall@50" in done.output
    searcher = Searcher.load(tmp_path / "model")
    assert len(searcher) == items.height
    assert searcher.metrics["training"]["epochs"] == 2
    refused(semid(*given, "--events", "events.parquet", "--out", "model"), "model exists")
    refused(semid(*given, "--out", "m"), "give one of --queries and --events")
    refused(
        semid(*given, "--events", "events.parquet", "--set", "depth=2", "--out", "m"),
        "option depth: no such field",
    )
    bare = events.drop("query")
    bare.write_parquet(tmp_path / "bare.parquet")
    refused(semid(*given, "--events", "bare.parquet", "--out", "m"), "no column 'query'")
    judged = items.head(100).select(
        query_id="item_id", query="title", item_id="item_id", label=pl.lit(1.0)
    )
    split = ["validation" if row % 4 == 0 else "train" for row in range(100)]
    judged.with_columns(split=pl.Series(split)).write_parquet(tmp_path / "judged.parquet")
    done = semid(*given, "--queries", "judged.parquet", "--set", "epochs=1", "--out", "judged")
    assert done.code == 0, done.errors
