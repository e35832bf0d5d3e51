"""The prefix-list index beside indexes of float vectors: recall, latency, memory, time to build.

    python -m tests.bench nearest-peers
    python -m tests.bench.nearest_peers 100000

Each index is built and searched in a process of its own. Queries are vectors that it does not hold.
Recall is against the exactly nearest float vectors; what codes lose counts against the codes.
"""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from data_prep.text import TextTemplate
from data_prep.threads import available_threads
from service.cli.terminal.console import output
from tests.bench.scale_data import DIMENSION, titles_at_hand, vectors_like_real
from tokenizer.config import FitConfig
from tokenizer.index.exact_neighbours import candidates
from tokenizer.index.semantic_index import SemanticIndex
from tokenizer.pipeline import Pipeline
from tokenizer.training.fit import fit_frozen

__all__ = ["nearest_peers"]

SIZES = (100_000, 1_000_000)
QUERIES, K, SECONDS = 300, 10, 3.0
FITTED_ON, STEPS = 50_000, 400
NEIGHBOURS, WIDE = 32, 64  # HNSW: links of an item, and candidates of a search
Vectors = NDArray[np.float32]
# Takes a query (1, d); returns the numbers (K,) of the nearest items.
Search = Callable[[Vectors], NDArray[np.int64]]


def nearest_peers(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Return a row for each index and number of items."""
    rows = []
    for items in sizes:
        for name in KINDS:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
                rows.append(alone.submit(_measured, name, items).result())
            output.print(rows[-1])  # a large index takes minutes
    return rows


def _measured(name: str, items: int) -> dict[str, Any]:
    data = os.environ.get("SEMID_DATA")
    titles = titles_at_hand(None if data is None else Path(data))
    vectors = np.concatenate(list(vectors_like_real(items + QUERIES, titles)))
    queries, vectors = vectors[:QUERIES], vectors[QUERIES:]
    _, exact = faiss.knn(queries, vectors, K)
    prepare = KINDS[name]
    build = prepare(vectors)
    before, started = _resident(), time.perf_counter()
    search = build()
    seconds, grown = time.perf_counter() - started, _resident() - before
    faiss.omp_set_num_threads(1)
    taken, shares = [], []
    for query, wanted in zip(queries, exact, strict=True):
        started = time.perf_counter()
        found = search(query[None])
        taken.append(time.perf_counter() - started)
        shares.append(len(set(found.tolist()) & set(wanted.tolist())) / K)
    return {
        "index": name,
        "items": items,
        "build_seconds": seconds,
        "bytes_an_item": grown / items,
        "recall_at_10": float(np.mean(shares)),
        "p50_milliseconds": float(np.median(taken)) * 1e3,
        "requests_per_second": _rate(search, queries),
    }


def _rate(search: Search, queries: Vectors) -> float:
    """Return the searches a second of as many threads as there are cores."""
    until = time.monotonic() + SECONDS

    def run(first: int) -> int:
        done = 0
        while time.monotonic() < until:
            search(queries[(first + done) % QUERIES][None])
            done += 1
        return done

    threads = available_threads()
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(run, range(threads))) / SECONDS


def _codes(vectors: Vectors, *, ranked: bool) -> Callable[[], Search]:
    """Fit a tokenizer and code the vectors; the index is then built of the codes.

    Args:
        ranked: rank what the codes propose by the vectors themselves.
    """
    frozen = fit_frozen(
        vectors[:FITTED_ON], FitConfig(steps=STEPS), TextTemplate(), None, "", baseline=False
    )
    pipeline = Pipeline(frozen)
    codes = np.concatenate(
        [pipeline.tokenize(part).codes for part in np.array_split(vectors, len(vectors) // 10_000)]
    )

    def build() -> Search:
        index = SemanticIndex(pipeline.codebooks)
        index.add(np.arange(len(codes)), codes)
        held = vectors.astype(np.float16) if ranked else None

        def search(query: Vectors) -> NDArray[np.int64]:
            proposed = candidates(K) if ranked else K
            found: NDArray[np.int64] = index.search(pipeline.latents(query), proposed)[0][0]
            if held is None:
                return found
            found = found[found >= 0]
            away = np.square(held[found].astype(np.float32) - query).sum(1)
            return np.asarray(found[np.argpartition(away, K)[:K]])

        return search

    return build


def _faiss(index: faiss.Index, vectors: Vectors) -> Callable[[], Search]:
    def build() -> Search:
        index.add(vectors)
        return lambda query: np.asarray(index.search(query, K)[1][0])

    return build


def _hnsw(vectors: Vectors) -> Callable[[], Search]:
    index = faiss.IndexHNSWFlat(DIMENSION, NEIGHBOURS)
    index.hnsw.efSearch = WIDE
    return _faiss(index, vectors)


def _usearch(vectors: Vectors) -> Callable[[], Search]:
    from usearch.index import Index

    def build() -> Search:
        index = Index(
            ndim=DIMENSION, metric="l2sq", dtype="f32", connectivity=NEIGHBOURS,
            expansion_search=WIDE,
        )  # fmt: skip
        index.add(np.arange(len(vectors)), vectors, threads=available_threads())
        return lambda query: np.asarray(index.search(query[0], K).keys, np.int64)

    return build


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


KINDS: dict[str, Callable[[Vectors], Callable[[], Search]]] = {
    "prefix lists of IDs": lambda vectors: _codes(vectors, ranked=False),
    "prefix lists, then vectors": lambda vectors: _codes(vectors, ranked=True),
    "FAISS, all vectors": lambda vectors: _faiss(faiss.IndexFlatL2(DIMENSION), vectors),
    "FAISS HNSW": _hnsw,
    "usearch HNSW": _usearch,
}


if __name__ == "__main__":  # spawned processes import this
    nearest_peers(tuple(map(int, sys.argv[1:])) or SIZES)
