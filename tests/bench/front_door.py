"""From an unknown file to a page that answers, and how near its nearest items are.

Each command runs as a user would type it, with an empty cache of vectors, on the films of
MovieLens and on Amazon's Beauty as they were published, found in $SEMID_DATA.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.readers.catalogue import items_of
from data_prep.readers.table_files import read_table_file
from tests.e2e.server import run_semid, serving
from tokenizer.index.exact_neighbours import candidates, overlap
from tokenizer.offline.id_parts import code_matrix
from tokenizer.pipeline import Pipeline

__all__ = ["front_door"]

FILES = {
    "films": "movielens/ml-latest-small/movies.csv.gz",
    "beauty": "amazon2014/Beauty/meta_Beauty.json.gz",
}
QUERIES, NEAREST, PATH = 500, 10, 3


def front_door() -> list[dict[str, Any]]:
    """Measure each file; without $SEMID_DATA there are no rows."""
    data = os.environ.get("SEMID_DATA")
    if data is None:
        return []
    rows = []
    for name, path in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append(
                {"catalogue": name, **_measured((Path(data) / path).resolve(), Path(folder))}
            )
    return rows


def _measured(file: Path, folder: Path) -> dict[str, Any]:
    own = {"tok": folder / "tok", "ids": folder / "ids.parquet"}
    cache, here = folder / "cache", Path.cwd()
    os.environ["SEMID_CACHE"] = str(cache)
    figures: dict[str, Any] = {}
    os.chdir(folder)
    try:
        begun = time.perf_counter()
        for what, command in {
            "check": ("check", file),
            "fit": ("fit", "--out", own["tok"]),
            "tokenize": ("tokenize", file, "--tokenizer", own["tok"], "--out", own["ids"]),
        }.items():
            started = time.perf_counter()
            run_semid(*command)
            figures[f"{what}_seconds"] = time.perf_counter() - started
        started = time.perf_counter()
        served = ("--tokenizer", own["tok"], "--ids", own["ids"], "--catalogue", file)
        database = ("--database", f"sqlite:///{folder / 'semid.db'}")
        with serving(folder / "log", *served, *database) as address:
            for place in ("/", "/v1/prefixes"):
                assert httpx.get(address + place, timeout=60).status_code == 200
            figures["page_seconds"] = time.perf_counter() - started
        figures["whole_seconds"] = time.perf_counter() - begun
    finally:
        os.chdir(here)
        del os.environ["SEMID_CACHE"]
    fitted = json.loads((own["tok"] / "metrics.json").read_text())
    figures |= {"items": fitted["items"], "held_out_error": fitted["held_out_error"]}
    return figures | _nearness(file, own["tok"], own["ids"], cache)


def _nearness(file: Path, tokenizer: Path, ids: Path, cache: Path) -> dict[str, Any]:
    """Compare an item's ten nearest items by codes, and by vectors among what codes propose."""
    pipeline = Pipeline.load(tokenizer)
    mapping = pipeline.config.mapping or ColumnMapping()
    items = items_of(read_table_file(file), mapping, (), pipeline.config.text)
    table = items.join(pl.read_parquet(ids).select("item_id", "codes"), on="item_id")
    with EmbeddingCache(cache) as kept:
        vectors = pipeline.embed(pipeline.texts(table.iter_rows(named=True)), kept)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    latents = pipeline.latents_of_codes(code_matrix(table["codes"], pipeline.levels))
    labels = np.asarray([" > ".join((of or [])[:PATH]) for of in table["categories"].to_list()])
    asked = np.random.default_rng(0).permutation(len(unit))[:QUERIES]
    sums: dict[str, float] = dict.fromkeys(
        ("overlap_codes", "overlap_vectors", "agreement_exact", "agreement_codes",
         "agreement_vectors"), 0.0,
    )  # fmt: skip
    for row in asked.tolist():
        near = unit @ unit[row]
        near[row] = -np.inf
        exact = np.argsort(-near, kind="stable")[:NEAREST]
        away = np.square(latents - latents[row]).sum(axis=1)
        away[row] = np.inf
        proposed = np.argsort(away, kind="stable")[: candidates(NEAREST)]
        ranked = proposed[np.argsort(-near[proposed], kind="stable")][:NEAREST]
        for name, found in {"codes": proposed[:NEAREST], "vectors": ranked}.items():
            sums[f"overlap_{name}"] += overlap(found.tolist(), exact.tolist())
            sums[f"agreement_{name}"] += _alike(labels, row, found)
        sums["agreement_exact"] += _alike(labels, row, exact)
    _, counts = np.unique(labels, return_counts=True)
    chance = float(np.square(counts / len(labels)).sum())
    shape = f"{pipeline.levels} × {pipeline.codebook_size}"
    means = {name: value / len(asked) for name, value in sums.items()}
    return {"shape": shape, **means, "agreement_of_chance": chance}


def _alike(labels: NDArray[np.str_], row: int, found: NDArray[np.int64]) -> float:
    return float((labels[found] == labels[row]).mean())
