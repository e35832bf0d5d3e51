"""Quantizers side by side: the same vectors, split, budget and seeds, one record a run."""

import hashlib
import json
import math
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.embedding.devices import full_precision
from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.storage.files import written_aside
from data_prep.storage.record import run_record, trained_on
from tokenizer.config import FitConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.study.meaning import neighbours_kept, prefix_meaning
from tokenizer.training.health import level_health, relative_error, unique_share
from tokenizer.training.loop import TrainedTokenizer, train
from tokenizer.training.split import split_rows
from tokenizer.vector_checks import check_trainable

__all__ = ["COLUMNS", "compare", "measure_run", "summarise"]

# heading, path into a record, format, whether less is better
COLUMNS: tuple[tuple[str, str, str, bool], ...] = (
    ("held-out error", "held_out_error", ".3f", True),
    ("training error", "train_error", ".3f", True),
    ("least utilization", "least_utilization", ".1%", False),
    ("dead codes", "dead_codes", ".0f", True),
    ("least perplexity", "least_perplexity", ".0f", False),
    ("codes of their own", "unique_share", ".2%", False),
    ("largest collision", "largest_collision", ".0f", True),
    ("neighbours kept", "neighbours_kept", ".3f", False),
    ("meaning of 1 code", "prefix_meaning_1", ".3f", False),
    ("shuffled", "prefix_meaning_1_shuffled", ".3f", True),
    ("training s", "training_seconds", ".0f", True),
    ("ms a step", "step_milliseconds", ".1f", True),
    ("encode items/s", "encode_items_per_second", ".3g", False),
    ("parameters", "parameters", ",.0f", True),
)


def compare(
    folder: Path,
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    runs: Sequence[tuple[str, FitConfig]],
    data_fingerprint: str,
    progress: Progress | None = None,
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Make each run, and return its record; a run that has one is not made again.

    Args:
        folder: `runs/NAME-seedS.json` is written as each run ends.
        vectors: (n, D).
        labels: (n,), a category for each item, empty where it has none.
        runs: the name of a row, and the configuration with its seed.
        data_fingerprint: of the catalogue; a record of other data, or of other vectors of it, is
            made anew.
        device: where it is trained; a record of another device is made anew.

    Raises:
        InputError: vectors that a tokenizer cannot be fitted to, or a loss that is not finite.
    """
    check_trainable(vectors)
    full_precision()
    records = []
    digest = hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()
    for name, config in runs:
        file_name = re.sub(r"\W+", "-", name)
        path = folder / "runs" / f"{file_name}-seed{config.seed}.json"
        record = _kept(path, config, data_fingerprint, digest, device)
        if record is None:
            started = time.perf_counter()
            record = {"name": name, "config": _plain(config), "vectors": digest}
            try:
                record |= measure_run(vectors, labels, config, device)
            except FloatingPointError as error:
                raise InputError(f"{name}, seed {config.seed}, stopped: {error}") from error
            seconds = time.perf_counter() - started
            record["record"] = run_record(config.seed, data_fingerprint, seconds)
            record["trained_on"] = trained_on(device)
            with written_aside(path) as aside:
                aside.write_text(json.dumps(record, indent=2))
        records.append(record)
        if progress is not None:
            progress(1)
    return records


def measure_run(
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    config: FitConfig,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train once and measure what the comparison's table tells, by name."""
    x = torch.tensor(vectors, device=device)
    steps: list[float] = []
    result = train(x, config, lambda step, measured: steps.append(time.perf_counter()))
    started = time.perf_counter()
    codes = result.model.encode(x).cpu()
    encoding = time.perf_counter() - started
    health = level_health(codes, config.quantizer.codebook_size)
    decoded = result.model.decode(codes.to(x.device))
    collisions = _collisions(codes)
    figures: dict[str, Any] = {
        "items": len(x),
        **_errors(result),
        "levels": [level.as_dict() for level in health],
        "least_utilization": min(level.utilization for level in health),
        "least_perplexity": min(level.perplexity for level in health),
        "dead_codes": sum(level.dead_codes for level in health),
        "unique_share": unique_share(codes),
        "collisions": collisions,
        "largest_collision": max(map(int, collisions), default=1),
        "rate_distortion": _rate_distortion(result.model, x, config),
        "neighbours_kept": neighbours_kept(x, decoded, seed=config.seed),
        "training_seconds": round(result.seconds, 2),
        "step_milliseconds": _median_step(steps, result),
        "encode_items_per_second": len(x) / encoding,
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "history": [asdict(measured) for measured in result.history],
        "events": [asdict(event) for event in result.events],
    }
    meaning = prefix_meaning(codes, labels, seed=config.seed)
    figures["prefix_meaning"] = meaning
    figures["prefix_meaning_1"] = meaning[0]["score"]
    figures["prefix_meaning_1_shuffled"] = meaning[0]["shuffled"]
    return figures


def summarise(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a name, the lowest held-out error first: means and deviations over seeds."""
    names = list(dict.fromkeys(record["name"] for record in records))
    rows = []
    for name in names:
        runs = [record for record in records if record["name"] == name]
        row: dict[str, Any] = {"name": name, "seeds": len(runs)}
        for _, key, _, _ in COLUMNS:
            values = [float(run[key]) for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else None
            row[key] = {"mean": statistics.fmean(values), "std": spread}
        rows.append(row)
    return sorted(rows, key=lambda row: row["held_out_error"]["mean"])


def _kept(
    path: Path, config: FitConfig, data_fingerprint: str, digest: str, device: str
) -> dict[str, Any] | None:
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    same = (
        record["config"] == _plain(config)
        and record.get("vectors") == digest
        and record.get("trained_on", {"device": "cpu"})["device"] == device
        and record["record"]["data_fingerprint"] == data_fingerprint
    )
    return record if same else None


def _plain(config: FitConfig) -> Any:
    return json.loads(json.dumps(asdict(config)))


def _errors(result: TrainedTokenizer) -> dict[str, float]:
    best = result.best
    return {
        "train_error": best.train_error,
        "validation_error": best.validation_error,
        "held_out_error": best.held_out_error,
    }


def _rate_distortion(model: Autoencoder, x: Tensor, config: FitConfig) -> list[dict[str, float]]:
    """Return, for each prefix of the codes, its bits and its error on held-out items."""
    held_out = x[split_rows(len(x), config.held_out, config.seed).held_out]
    codes = model.encode(held_out)
    bits = math.log2(config.quantizer.codebook_size)
    return [
        {
            "bits": bits * length,
            "held_out_error": relative_error(held_out, model.decode(codes[:, :length]), model.mean),
        }
        for length in range(1, codes.shape[1] + 1)
    ]


def _collisions(codes: Tensor) -> dict[str, int]:
    """Return how many groups of 2, 3, … items share their codes, by the group's size."""
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    sizes, groups = torch.unique(counts[counts > 1], return_counts=True)
    return {str(size): groups for size, groups in zip(sizes.tolist(), groups.tolist(), strict=True)}


def _median_step(marks: Sequence[float], result: TrainedTokenizer) -> float:
    """Return the median time of a quantized step, in which none was measured, in milliseconds."""
    after = np.asarray(marks[result.warmup_steps :])
    return float(np.median(np.diff(after)) * 1e3) if len(after) > 1 else 0.0
