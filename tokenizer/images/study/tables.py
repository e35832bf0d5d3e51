"""Tables of a study, from the records of its rows."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError
from data_prep.markdown import markdown_table
from data_prep.significance import holm, paired_t
from data_prep.storage.files import written_aside
from tokenizer.study.comparison import Column

__all__ = ["IMAGE_COLUMNS", "StudyRow", "read_study", "studies_in", "write_tables"]


IMAGE_COLUMNS = (
    Column("validation loss, common seeds", "common_loss", ".4f", min),
    Column("validation loss", "validation_loss", ".4f", min),
    Column("held-out loss", "held_out_loss", ".4f", None),
    Column("bits an image", "bits", ",.0f", None),
    Column("PSNR", "psnr", ".2f", max),
    Column("SSIM", "ssim", ".4f", max),
    Column("perceptual", "perceptual", ".4f", min),
    Column("Fréchet, reconstructed", "frechet", ".3f", min),
    Column("utilization", "utilization", ".1%", max),
    Column("dead codes", "dead_codes", ",.0f", min),
    Column("code perplexity", "code_perplexity", ",.0f", max),
    Column("Fréchet, samples", "sample_frechet", ".3f", min),
    Column("prior's perplexity", "prior_perplexity", ",.1f", None),
    Column("prior's bits an image", "prior_bits", ",.0f", None),
    Column("training s", "training_seconds", ".0f", None),
    Column("ms a step", "step_milliseconds", ".1f", None),
    Column("quantizer's parameters", "quantizer_parameters", ",.0f", None),
)


@dataclass(frozen=True)
class StudyRow:
    """A row and the records of its seeds that there are so far.

    Attributes:
        records: by file, in the order of seeds, those with figures.
        failed: why trainings diverged.
        missing: number of runs without a record.
    """

    name: str
    records: Mapping[Path, Mapping[str, Any]]
    failed: tuple[str, ...]
    missing: int


def studies_in(out: Path) -> list[str]:
    """Return the names of the studies that `out` keeps.

    Raises:
        InputError: there is none.
    """
    found = sorted(path.parent.name for path in out.glob("*/rows.json"))
    if not found:
        raise InputError(
            f"{out} keeps no study of images; semid images compare and ablate write one"
        )
    return found


def read_study(out: Path, study: str) -> list[StudyRow]:
    """Return a study's rows, the lowest validation loss first, rows without figures last.

    Losses are means over the seeds that all rows with figures have: a seed moves all rows alike.
    """
    told: dict[str, list[str]] = json.loads((out / study / "rows.json").read_text())
    rows = []
    for name, files in told.items():
        paths = [out / file for file in files]
        made = {path: json.loads(path.read_text()) for path in paths if path.exists()}
        rows.append(
            StudyRow(
                name,
                {path: record for path, record in made.items() if "failed" not in record},
                tuple(record["failed"] for record in made.values() if "failed" in record),
                len(paths) - len(made),
            )
        )
    common = _common_seeds(rows)
    return sorted(rows, key=lambda row: _loss(row, common))


def write_tables(out: Path, study: str, rows: Sequence[StudyRow]) -> str:
    """Write summary.json and summary.md of a study, and return the table in Markdown.

    The best figure of a column is bold. p is that of Student's paired t-test of the loss on
    held-out images against the first row, two-sided, after Holm's correction for all rows; an
    image's loss is its mean over the seeds that both rows have.
    """
    summary = [_summary(row, rows[0]) for row in rows]
    common = _common_seeds(rows)
    if any(len(row.records) not in {0, len(common)} for row in rows):
        for entry, row in zip(summary, rows, strict=True):
            if row.records and common:
                entry["common_loss"] = {"mean": _loss(row, common), "std": None}
    tested = [entry for entry in summary if entry["held_out_p"] is not None]
    for entry, p in zip(tested, holm([entry["held_out_p"] for entry in tested]), strict=True):
        entry["held_out_p_holm"] = float(p)
    shown = [
        column
        for column in IMAGE_COLUMNS
        if any(entry.get(column.key) is not None for entry in summary)
    ]
    headings = ["", "seeds", *(column.heading for column in shown), "p against the first"]
    lines = []
    for entry in summary:
        cells = [entry["name"], str(entry["seeds"])]
        cells += [_cell(entry, column, summary) for column in shown]
        p = entry.get("held_out_p_holm")
        cells.append("" if p is None else f"{p:.2g}")
        lines.append(cells)
    notes = [f"{row.name}: {reason}" for row in rows for reason in row.failed]
    notes += [f"{row.name}: {row.missing} runs are not done" for row in rows if row.missing]
    text = "\n".join([markdown_table(headings, lines), "", *(f"* {note}" for note in notes)])
    for name, content in (
        ("summary.json", json.dumps(summary, indent=1, ensure_ascii=False)),
        ("summary.md", text.rstrip() + "\n"),
    ):
        with written_aside(out / study / name) as path:
            path.write_text(content)
    return text.rstrip()


def _summary(row: StudyRow, first: StudyRow) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": row.name, "seeds": len(row.records)}
    for column in IMAGE_COLUMNS:
        values = [
            float(record[column.key])
            for record in row.records.values()
            if record.get(column.key) is not None
        ]
        if values:
            spread = statistics.stdev(values) if len(values) > 1 else None
            entry[column.key] = {"mean": statistics.fmean(values), "std": spread}
    entry["held_out_p"] = None if row is first else _paired_p(row, first)
    return entry


def _paired_p(row: StudyRow, first: StudyRow) -> float | None:
    """Return the paired test's p-value over images; None if the rows have no seed in common."""
    ours, theirs = _losses(row), _losses(first)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return None
    a, b = (np.mean([losses[seed] for seed in common], axis=0) for losses in (ours, theirs))
    return paired_t(a, b)


def _losses(row: StudyRow) -> dict[int, list[float]]:
    return {_seed(record): record["held_out_losses"] for record in row.records.values()}


def _common_seeds(rows: Sequence[StudyRow]) -> set[int]:
    """Return the seeds that all rows with figures have."""
    seeds = [{_seed(record) for record in row.records.values()} for row in rows if row.records]
    return set.intersection(*seeds) if seeds else set()


def _loss(row: StudyRow, seeds: set[int]) -> float:
    """Return a row's mean validation loss over some seeds; ∞ if it has none of them."""
    found = [
        float(record["validation_loss"])
        for record in row.records.values()
        if _seed(record) in seeds
    ]
    return statistics.fmean(found) if found else math.inf


def _seed(record: Mapping[str, Any]) -> int:
    seed: int = record["cell"]["config"]["seed"]
    return seed


def _cell(entry: Mapping[str, Any], column: Column, summary: Sequence[Mapping[str, Any]]) -> str:
    if entry.get(column.key) is None:
        return ""
    mean, spread = entry[column.key]["mean"], entry[column.key]["std"]
    text = f"{mean:{column.form}}"
    if spread is not None and column.key not in {"bits", "quantizer_parameters"}:
        text += f" ± {spread:{column.form}}"
    means = [other[column.key]["mean"] for other in summary if other.get(column.key) is not None]
    best = column.best is not None and len(means) > 1 and mean == column.best(means)
    return f"**{text}**" if best else text
