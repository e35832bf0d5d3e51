"""A benchmark's tables and pictures, from its records."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recsys.benchmarks.folder import Record, write_tables
from recsys.benchmarks.folder import kept_records as folder_records
from recsys.benchmarks.pictures import draw_rows
from recsys.benchmarks.published import SHOWN
from recsys.benchmarks.significance import significance_of
from recsys.benchmarks.tables import markdown, rows_of
from recsys.models.baselines import BASELINES
from recsys.presets import MODELS

__all__ = ["kept_records", "write_summary"]

ORDER = (*BASELINES, *MODELS)


def kept_records(folder: Path) -> tuple[list[Record], dict[str, Any]]:
    """Return all records in a benchmark's folder, and the notes on each category.

    GRIT-VQ's tokenizers come first, so that the others are tested against them.

    Raises:
        InputError: the folder has no records.
    """
    return folder_records(folder, _order)


def write_summary(
    folder: Path, records: Sequence[Mapping[str, Any]], notes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Write summary.json, summary.md and one picture for each metric; return the Markdown.

    Raises:
        InputError: a record's file of ranks is missing.
    """
    rows = rows_of(records)
    tests = significance_of(folder, records)
    text = markdown(rows, tests, notes)
    write_tables(folder, rows, tests, notes, text)
    for metric in SHOWN:
        draw_rows(rows, folder / f"{metric}.png", metric)
    return text


def _order(record: Mapping[str, Any]) -> tuple[Any, ...]:
    cell = record["cell"]
    tokenizer = cell["tokenizer"]
    return (
        cell["category"],
        cell["cold"],
        ORDER.index(cell["model"]) if cell["model"] in ORDER else len(ORDER),
        not tokenizer.startswith("grit"),
        tokenizer,
        cell["seed"],
    )
