"""Compare quantizers on the same vectors, split, budget and seeds; each run has one record."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.embedding.devices import full_precision
from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.storage.record import run_record, trained_on
from tokenizer.config import FitConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.model.vector_checks import check_trainable
from tokenizer.study.meaning import neighbours_kept, prefix_meaning
from tokenizer.study.records import digest_of, file_name, keep, kept, plain
from tokenizer.training.health import level_health, relative_error, unique_share
from tokenizer.training.loop import TrainedTokenizer, train
from tokenizer.training.split import split_rows

__all__ = ["COLUMNS", "Column", "compare", "measure_run", "summarise"]


@dataclass(frozen=True)
class Column:
    """A column of the comparison's table.

    Attributes:
        key: key of the figure in a record.
        form: format of the figure.
        best: function that picks the best of several values. None where no best is marked: the
            validation error chooses the rows, and errors on other items are only shown.
    """

    heading: str
    key: str
    form: str
    best: Callable[[Iterable[float]], float] | None


COLUMNS = (
    Column("validation error", "validation_error", ".3f", min),
    Column("held-out error", "held_out_error", ".3f", None),
    Column("training error", "train_error", ".3f", None),
    Column("least utilization", "least_utilization", ".1%", max),
    Column("dead codes", "dead_codes", ".0f", min),
    Column("least perplexity", "least_perplexity", ".0f", max),
    Column("unique codes", "unique_share", ".2%", max),
    Column("largest collision", "largest_collision", ".0f", min),
    Column("neighbours kept", "neighbours_kept", ".3f", max),
    Column("meaning of 1 code", "prefix_meaning_1", ".3f", max),
    Column("shuffled", "prefix_meaning_1_shuffled", ".3f", None),
    Column("training s", "training_seconds", ".0f", min),
    Column("ms a step", "step_milliseconds", ".1f", min),
    Column("encode items/s", "encode_items_per_second", ".3g", max),
    Column("parameters", "parameters", ",.0f", min),
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
    """Make each run that has no record yet, and return the records of all runs.

    Args:
        folder: where `runs/NAME-seedS.json` is written at the end of each run.
        vectors: (n, D).
        labels: (n,), a category for each item; empty for an item without one.
        runs: the name of a row, and the configuration with its seed.
        data_fingerprint: fingerprint of the catalogue; a run whose record has another catalogue or
            other vectors is made again.
        device: where runs train; a run whose record has another device is made again.

    Raises:
        InputError: a tokenizer cannot be fitted to the vectors, no item is held out, or a loss is
            not finite.
    """
    check_trainable(vectors)
    full_precision()
    records = []
    digest = digest_of(vectors)
    for name, config in runs:
        if not len(split_rows(len(vectors), config.held_out, config.seed).held_out):
            raise InputError(
                "a comparison needs items that are held out; give 20 items or more, and a share "
                "held_out above 0"
            )
        path = folder / "runs" / f"{file_name(name)}-seed{config.seed}.json"
        record = kept(path, config, data_fingerprint, digest, device)
        if record is None:
            started = time.perf_counter()
            record = {"name": name, "config": plain(config), "vectors": digest}
            try:
                record |= measure_run(vectors, labels, config, device)
            except FloatingPointError as error:
                raise InputError(f"{name}, seed {config.seed}, stopped: {error}") from error
            seconds = time.perf_counter() - started
            record["record"] = run_record(config.seed, data_fingerprint, seconds)
            record["trained_on"] = trained_on(device)
            keep(path, record)
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
    """Train once, and return the figures of the comparison's table by key."""
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
        "held_out_losses": _held_out_losses(result.model, x, decoded, config),
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
    """Return one row for each name, lowest validation error first: means and deviations over seeds.

    `held_out_p` is the p-value of the difference between a row and the first row on held-out items:
    Student's paired t-test over the items of all seeds, two-sided, not corrected for the number of
    rows. It is None for the first row, and if the two rows have other seeds.
    """
    names = list(dict.fromkeys(record["name"] for record in records))
    rows = []
    for name in names:
        runs = [record for record in records if record["name"] == name]
        row: dict[str, Any] = {"name": name, "seeds": len(runs)}
        for column in COLUMNS:
            values = [float(run[column.key]) for run in runs]
            spread = statistics.stdev(values) if len(values) > 1 else None
            row[column.key] = {"mean": statistics.fmean(values), "std": spread}
        rows.append(row)
    rows.sort(key=lambda row: row["validation_error"]["mean"])
    losses = {row["name"]: _losses(records, row["name"]) for row in rows}
    best = losses[rows[0]["name"]]
    for row in rows:
        row["held_out_p"] = None if row is rows[0] else _paired_p(losses[row["name"]], best)
    return rows


def _losses(records: Sequence[Mapping[str, Any]], name: str) -> dict[int, list[float]]:
    """Return a row's losses on held-out items, by seed."""
    return {
        record["config"]["seed"]: record["held_out_losses"]
        for record in records
        if record["name"] == name
    }


def _paired_p(row: Mapping[int, list[float]], other: Mapping[int, list[float]]) -> float | None:
    """Return the paired test's p-value; None if the rows have other seeds, so other items."""
    from scipy.stats import ttest_rel

    if row.keys() != other.keys():
        return None
    pairs = [(row[seed], other[seed]) for seed in sorted(row)]
    ours, theirs = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if (ours == theirs).all():
        return 1.0
    return float(ttest_rel(ours, theirs).pvalue)


def _errors(result: TrainedTokenizer) -> dict[str, float | None]:
    best = result.best
    return {
        "train_error": best.train_error,
        "validation_error": best.validation_error,
        "held_out_error": best.held_out_error,
    }


def _held_out_losses(
    model: Autoencoder, x: Tensor, decoded: Tensor, config: FitConfig
) -> list[float]:
    """Return each held-out item's ‖x − x̂‖² over the mean of ‖x − mean‖², for paired tests."""
    rows = split_rows(len(x), config.held_out, config.seed).held_out
    spread = (x[rows] - model.mean).double().square().sum(1).mean()
    lost = (x[rows] - decoded[rows]).double().square().sum(1) / spread
    return [round(value, 5) for value in lost.tolist()]


def _rate_distortion(model: Autoencoder, x: Tensor, config: FitConfig) -> list[dict[str, float]]:
    """Return the bits and the held-out error of each prefix of the codes."""
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
    """Return how many groups of items share all codes, by the size of the group."""
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    sizes, groups = torch.unique(counts[counts > 1], return_counts=True)
    return {str(size): groups for size, groups in zip(sizes.tolist(), groups.tolist(), strict=True)}


def _median_step(marks: Sequence[float], result: TrainedTokenizer) -> float:
    """Return the median time of a quantized step without a measurement, in milliseconds."""
    after = np.asarray(marks[result.warmup_steps :])
    return float(np.median(np.diff(after)) * 1e3) if len(after) > 1 else 0.0
