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
from torch import Tensor

from data_prep.embedding.devices import full_precision
from data_prep.errors import InputError
from data_prep.progress import Progress
from data_prep.significance import holm, paired_t
from data_prep.storage.record import run_record, trained_on
from tokenizer.config import FitConfig
from tokenizer.model.autoencoder import Autoencoder
from tokenizer.model.vector_checks import check_trainable
from tokenizer.study.cells import Mapped
from tokenizer.study.items import StudyItems
from tokenizer.study.meaning import neighbours_kept, prefix_meaning
from tokenizer.study.records import file_name, keep, kept, plain
from tokenizer.training.health import level_health, relative_error, unique_share
from tokenizer.training.loop import TrainedTokenizer, train
from tokenizer.training.split import split_rows

__all__ = ["COLUMNS", "Column", "Run", "compare", "measure_run", "summarise"]


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


@dataclass(frozen=True)
class Run:
    """One training of a comparison.

    Attributes:
        folder: keeps the record as `runs/NAME-seedS.json`.
        name: name of the row.
        config: the configuration, with the run's seed.
        device: where the run trains; a run whose record has another device is made again.
    """

    folder: Path
    name: str
    config: FitConfig
    items: StudyItems
    device: str = "cpu"


def compare(
    folder: Path,
    items: StudyItems,
    runs: Sequence[tuple[str, FitConfig]],
    progress: Progress | None = None,
    device: str = "cpu",
    mapped: Mapped = map,
) -> list[dict[str, Any]]:
    """Make each run that has no record yet, and return the records of all runs.

    Args:
        folder: where each record is written at the end of its run.
        items: a run whose record has another catalogue or other vectors is made again.
        runs: the name of a row, and the configuration with its seed.
        mapped: makes the runs; `map` makes one after the other.

    Raises:
        InputError: a tokenizer cannot be fitted to the vectors, no item is held out, or a loss is
            not finite.
    """
    check_trainable(items.vectors)
    for _, config in runs:
        if not len(split_rows(len(items.vectors), config.held_out, config.seed).held_out):
            raise InputError(
                "a comparison needs items that are held out; give 20 items or more, and a share "
                "held_out above 0"
            )
    records = []
    for record in mapped(make_run, [Run(folder, *run, items, device) for run in runs]):
        records.append(record)
        if progress is not None:
            progress(1)
    return records


def make_run(run: Run) -> dict[str, Any]:
    """Return a run's record; train and measure only if there is none yet."""
    config, items = run.config, run.items
    path = run.folder / "runs" / f"{file_name(run.name)}-seed{config.seed}.json"
    found = kept(path, config, items.fingerprint, items.digest, run.device)
    if found is not None:
        return found
    full_precision()
    started = time.perf_counter()
    record = {"name": run.name, "config": plain(config), "vectors": items.digest}
    try:
        record |= measure_run(items.on(run.device), items.labels, config)
    except FloatingPointError as error:
        raise InputError(f"{run.name}, seed {config.seed}, stopped: {error}") from error
    seconds = time.perf_counter() - started
    record["record"] = run_record(config.seed, items.fingerprint, seconds)
    record["trained_on"] = trained_on(run.device)
    keep(path, record)
    return record


def measure_run(x: Tensor, labels: Sequence[str], config: FitConfig) -> dict[str, Any]:
    """Train once on vectors (n, D), and return the figures of the comparison's table by key."""
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
    """Return one row for each name: means and deviations over seeds.

    The row with the lowest validation error is first. Rows with fewer seeds follow those with more:
    other seeds hold out other items, so that the means cannot be compared.

    `held_out_p` is the p-value of the difference between a row and the first row on held-out items:
    Student's paired t-test, two-sided, over the items of all seeds that both rows have.
    `held_out_p_holm` is the same after Holm's correction for all rows. Both are None for the first
    row, and if two rows have no seed in common.
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
    rows.sort(key=lambda row: (-row["seeds"], row["validation_error"]["mean"]))
    losses = {row["name"]: _losses(records, row["name"]) for row in rows}
    best = losses[rows[0]["name"]]
    for row in rows:
        row["held_out_p"] = None if row is rows[0] else _paired_p(losses[row["name"]], best)
        row["held_out_p_holm"] = None
    tested = [row for row in rows if row["held_out_p"] is not None]
    corrected = holm([row["held_out_p"] for row in tested])
    for row, p in zip(tested, corrected.tolist(), strict=True):
        row["held_out_p_holm"] = p
    return rows


def _losses(records: Sequence[Mapping[str, Any]], name: str) -> dict[int, list[float]]:
    """Return a row's losses on held-out items, by seed."""
    return {
        record["config"]["seed"]: record["held_out_losses"]
        for record in records
        if record["name"] == name
    }


def _paired_p(row: Mapping[int, list[float]], other: Mapping[int, list[float]]) -> float | None:
    """Return the paired test's p-value over common seeds; None if there are none."""
    common = sorted(row.keys() & other.keys())
    if not common:
        return None
    return paired_t(*(np.concatenate([each[seed] for seed in common]) for each in (row, other)))


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
