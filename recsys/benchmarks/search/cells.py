"""One cell of a search benchmark: a method, a data set and a seed; measured and kept as a record.

Training a model needs torch, numpy, safetensors and faiss alone.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.search.latency import query_latency
from recsys.benchmarks.search.methods import BASELINES, FUSIONS
from recsys.search.baselines import content_lists, query_popularity_lists
from recsys.search.data.dataset import NO_QUERY, Rows, SearchDataset
from recsys.search.lexical import Bm25, fused
from recsys.search.presets import MODELS, SearchPreset
from recsys.search.ranking import CUTOFFS, DEPTH, list_metrics, means, order_metrics
from recsys.search.retrieval import model_lists, model_scores
from recsys.search.training import Measured, train_search

__all__ = ["lists_of", "measured_requests", "run_cell"]

Texts = Sequence[str]
Progress = Callable[[int, int, Measured | None], None]


def run_cell(
    folder: Path,
    cell: Cell,
    preset: SearchPreset,
    dataset: SearchDataset,
    texts: Texts | None = None,
    notes: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return the cell's record; measure only if the folder has no record of it yet.

    A record counts if it has the same data and configuration.

    Args:
        folder: receives records/NAME.json, requests/NAME.npz (the metrics of every request) and
            lists/NAME.npz (the ranked items, which fusions read).
        dataset: with codes if the model reads them.
        texts: the items' texts, for bm25.
        notes: further entries of the record, such as the tokenizer's.

    Raises:
        InputError: as `recsys.search.training.train_search`; a fusion's parts are not measured;
            bm25 without texts.
    """
    path = folder / "records" / f"{cell.name}.json"
    config = _configuration(cell, preset, dataset)
    if (kept := _kept(path, folder, cell, config, dataset)) is not None:
        return kept
    started = time.perf_counter()
    requests = measured_requests(dataset)
    lists, figures, further = _measure(
        folder, cell, preset, dataset, requests, texts, device, progress
    )
    cutoffs = [k for k in CUTOFFS if k <= lists.shape[1]]
    found = list_metrics(lists, dataset, requests, cutoffs)
    record = {
        "cell": asdict(cell),
        "preset": preset.name,
        "config": config,
        "data": dataset.fingerprint,
        "requests": len(requests),
        "items": dataset.n_items,
        "metrics": {"all": means(found)},
        **figures,
        **(notes or {}),
        "record": run_record(cell.seed, dataset.source, time.perf_counter() - started),
    }
    kept_arrays = (
        ("requests", {name: values.astype(np.float32) for name, values in found.items()} | further),
        ("lists", {"lists": lists.astype(np.int32)}),
    )
    for place, arrays in kept_arrays:
        with written_aside(folder / place / f"{cell.name}.npz") as aside, aside.open("wb") as file:
            np.savez_compressed(file, **arrays)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(record, indent=2) + "\n")
    return record


def measured_requests(dataset: SearchDataset) -> Rows:
    """Return the test requests that an item answers; those without a query if none has one."""
    requests = dataset.requests("test")
    if not len(requests):
        raise InputError(
            "no test request has an item that answers it; prepare files that have test queries"
        )
    return requests


def lists_of(folder: Path, cell: Cell) -> Rows:
    """Return the ranked items of a measured cell.

    Raises:
        InputError: it is not measured.
    """
    path = folder / "lists" / f"{cell.name}.npz"
    if not path.is_file():
        raise InputError(f"{path} is missing; measure {cell.model} before its fusion")
    with np.load(path) as file:
        return np.asarray(file["lists"], dtype=np.int64)


def _configuration(cell: Cell, preset: SearchPreset, dataset: SearchDataset) -> dict[str, Any]:
    """Return what the record says of a cell's method."""
    if cell.model not in MODELS:
        return {}
    training = replace(preset.training, seed=cell.seed)
    plain = {
        "shape": asdict(preset.shape(cell.model, dataset.n_items)),
        "training": asdict(training),
    }
    loaded: dict[str, Any] = json.loads(json.dumps(plain))
    return loaded


def _kept(
    path: Path, folder: Path, cell: Cell, config: dict[str, Any], dataset: SearchDataset
) -> dict[str, Any] | None:
    if not path.is_file() or not (folder / "requests" / f"{cell.name}.npz").is_file():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    same = record.get("config") == config and record.get("data") == dataset.fingerprint
    return record if same else None


def _measure(
    folder: Path,
    cell: Cell,
    preset: SearchPreset,
    dataset: SearchDataset,
    requests: Rows,
    texts: Texts | None,
    device: str,
    progress: Progress | None,
) -> tuple[Rows, dict[str, Any], dict[str, Any]]:
    """Return ranked lists (R, depth), entries of the record, and further metrics of requests."""
    if cell.model in FUSIONS:
        parts = [
            lists_of(folder, replace(cell, model=name, tokenizer=_own(cell, name), seed=seed))
            for name in FUSIONS[cell.model]
            for seed in (0 if name in BASELINES else cell.seed,)
        ]
        return fused(parts[0], parts[1], DEPTH), {}, {}
    if cell.model == "bm25":
        if texts is None:
            raise InputError("bm25 needs the items' texts; run semid benchmark")
        asked = dataset.request_query[requests]
        distinct, places = np.unique(asked, return_inverse=True)
        queries = ["" if n == NO_QUERY else dataset.queries[n] for n in distinct.tolist()]
        return Bm25(texts).lists(queries, DEPTH)[places], {}, {}
    if cell.model == "content":
        return content_lists(dataset, requests, DEPTH, device), {}, {}
    if cell.model == "query-popularity":
        return query_popularity_lists(dataset, requests, DEPTH), {}, {}
    training = replace(preset.training, seed=cell.seed)
    result = train_search(
        preset.shape(cell.model, dataset.n_items), dataset, training, device, progress
    )
    figures = {
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "epochs": result.history[-1].epoch,
        "best_epoch": result.best.epoch,
        "validation": result.best.validation,
        "training_seconds": result.history[-1].seconds,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "latency": query_latency(result.model, dataset, requests),
    }
    further = {}
    if len(shown := dataset.requests("shown")):
        ordered = order_metrics(model_scores(result.model, dataset, shown), dataset, shown)
        figures["shown"] = {"requests": len(shown), **means(ordered)}
        further = {f"shown {name}": values for name, values in ordered.items()}
    return model_lists(result.model, dataset, requests, DEPTH), figures, further


def _own(cell: Cell, model: str) -> str:
    return "" if model in BASELINES else cell.tokenizer
