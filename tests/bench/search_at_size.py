"""Search at the size of the public data sets, on generated files of their formats.

JDsearch with a million products and 100,000 users is prepared; ESCI's US locale with 1.2 million
products is prepared, tokenized, trained on a little, and evaluated on all products.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from recsys.benchmarks.search.latency import query_latency
from recsys.search.data.dataset import SearchDataset
from recsys.search.model import SearchModel
from recsys.search.presets import preset_named
from recsys.search.retrieval import user_vectors
from tests.bench.measure import best_seconds
from tests.generated.esci import write_esci
from tests.generated.jdsearch import write_jdsearch

__all__ = ["esci_at_size", "jdsearch_at_size", "search_queries_at_size"]

ITEMS, USERS = 1_000_000, 100_000
PRODUCTS, QUERIES = 1_215_851, 97_346
# A little training: the figure is the time and the recall of a pipeline that works, not its best.
LITTLE = (
    "--preset", "quick", "--models", "bm25,content,dual-encoder",
    "--set", "steps=500", "--training", "steps=1000",
)  # fmt: skip


def jdsearch_at_size(scale: float = 1.0) -> dict[str, Any]:
    """Return minutes and peak memory of preparing JDsearch's format.

    Args:
        scale: share of the products and users, for a trial.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        behaviour, products = write_jdsearch(
            place / "jd", int(ITEMS * scale), int(USERS * scale), events=24
        )
        return {"scale": scale} | _run(
            "prepare",
            "prepare", "jdsearch", "--behaviour", behaviour, "--products", products,
            "--out", place / "tables",
        )  # fmt: skip


def esci_at_size(scale: float = 1.0) -> dict[str, Any]:
    """Return minutes and peak memory of each step on ESCI's format, and the recall.

    Args:
        scale: share of the products and queries, for a trial.
    """
    figures: dict[str, Any] = {"scale": scale}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        examples, products = write_esci(place / "esci", int(PRODUCTS * scale), int(QUERIES * scale))
        figures |= _run(
            "prepare",
            "prepare", "esci", "--examples", examples, "--products", products,
            "--out", place / "tables",
        )  # fmt: skip
        out = place / "out"
        figures |= _run(
            "benchmark",
            "benchmark", "esci", place / "tables", *LITTLE, "--encoder", "hashing",
            "--cache", place / "cache", "--out", out,
        )  # fmt: skip
        for path in sorted((out / "records").glob("*.json")):
            figures |= _figures_of(json.loads(path.read_text()))
    minutes = figures["prepare minutes"] + figures["benchmark minutes"]
    return figures | {"minutes in all": round(minutes, 1)}


def search_queries_at_size() -> dict[str, float]:
    """Return how long a query of a dual encoder takes over ESCI's 1.2 million products.

    The model is untrained, and the codes are random: the search by codes computes every product's
    score, whatever the vectors. Beside it, FAISS's exact search over the products' vectors.
    """
    draw = np.random.default_rng(0)
    asked = 200
    nothing = np.zeros(asked, dtype=np.int64)
    data = SearchDataset(
        item_ids=tuple(map(str, range(PRODUCTS))),
        queries=tuple(map(str, range(asked))),
        request_query=np.arange(asked, dtype=np.int32),
        request_split=np.zeros(asked, dtype=np.uint8),
        events=np.zeros(0, dtype=np.int32),
        history_start=nothing,
        history_end=nothing,
        judged_offsets=np.arange(asked + 1),
        judged=draw.integers(PRODUCTS, size=asked, dtype=np.int32),
        gains=np.ones(asked, dtype=np.float32),
        positive=np.ones(asked, dtype=np.bool_),
        query_vectors=draw.standard_normal((asked, 384), dtype=np.float32),
        codes=draw.integers(256, size=(PRODUCTS, 4), dtype=np.uint16),
        codebook_size=256,
    )
    torch.manual_seed(0)
    model = SearchModel(preset_named("quick").shape("dual-encoder", PRODUCTS), data).eval()
    requests = np.arange(asked)
    latency = query_latency(model, data, requests)
    users = user_vectors(model, data, requests[:20]).numpy()
    vectors = model.items.all_candidates().numpy()
    got, _ = model.items.code_index().search(users, 100)
    _, wanted = faiss.knn(users, vectors, 100, faiss.METRIC_INNER_PRODUCT)
    shared = [np.isin(a, b).mean() for a, b in zip(wanted, got, strict=True)]
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    return {
        "items": PRODUCTS,
        "query p50 ms": latency["p50_ms"],
        "query p95 ms": latency["p95_ms"],
        "threads": latency["threads"],
        "found of the exact first 100": round(float(np.mean(shared)), 4),
        "FAISS exact ms": 1000 * best_seconds(lambda: exact.search(users[:1], 100), repeats=20),
    }


def _figures_of(record: dict[str, Any]) -> dict[str, float]:
    name = record["cell"]["model"]
    found = {
        f"{name} minutes": round(record["record"]["wall_seconds"] / 60, 2),
        f"{name} recall@50": record["metrics"]["all"]["recall@50"],
    }
    if "latency" in record:
        found["query p50 ms"] = record["latency"]["p50_ms"]
        found["query found"] = record["latency"]["found"]
        found["tokenizer minutes"] = round(record["tokenizer"]["training_seconds"] / 60, 2)
        found["training minutes"] = round(record["training_seconds"] / 60, 2)
    return found


def _run(name: str, *arguments: object) -> dict[str, float]:
    """Run `semid`; return its minutes and the peak GiB of the largest process so far."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "service.cli", *map(str, arguments), "--quiet"]
    subprocess.run(command, check=True, env=os.environ)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {
        f"{name} minutes": round((time.perf_counter() - started) / 60, 2),
        f"{name} peak GiB so far": round(peak, 2),
    }


if __name__ == "__main__":
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(json.dumps([jdsearch_at_size(scale), esci_at_size(scale)], indent=2))
