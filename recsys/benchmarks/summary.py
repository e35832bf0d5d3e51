"""A benchmark's tables and pictures, from its records."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import InputError
from data_prep.storage.files import written_aside
from recsys.benchmarks.pictures import draw_rows
from recsys.benchmarks.published import SHOWN
from recsys.benchmarks.tables import markdown, rows_of, significance_of
from recsys.models.baselines import BASELINES
from recsys.presets import MODELS

__all__ = ["NOTES", "kept_records", "write_summary"]

NOTES = "data.json"
ORDER = (*BASELINES, *MODELS)


def kept_records(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return all records in a benchmark's folder, and the notes on each category.

    GRIT-VQ's tokenizers come first, so that the others are tested against them.

    Raises:
        InputError: the folder has no records.
    """
    paths = sorted((folder / "records").glob("*.json"))
    if not paths or not (folder / NOTES).is_file():
        raise InputError(f"{folder} has no records of a benchmark; semid benchmark writes them")
    records: list[dict[str, Any]] = [json.loads(path.read_text()) for path in paths]
    return sorted(records, key=_order), json.loads((folder / NOTES).read_text())


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
    summary = {"rows": rows, "significance": tests, "data": notes}
    for name, content in (("summary.json", json.dumps(summary, indent=2)), ("summary.md", text)):
        with written_aside(folder / name) as path:
            path.write_text(content)
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
