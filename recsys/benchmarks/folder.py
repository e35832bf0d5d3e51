"""The files of a benchmark's folder: records, notes on the data, and the summary."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import InputError
from data_prep.storage.files import written_aside

__all__ = ["NOTES", "Record", "kept_records", "write_tables"]

NOTES = "data.json"
Record = Mapping[str, Any]


def kept_records(
    folder: Path, order: Callable[[Record], tuple[Any, ...]]
) -> tuple[list[Record], dict[str, Any]]:
    """Return all records in a benchmark's folder by `order`, and the notes on its data.

    Raises:
        InputError: the folder has no records.
    """
    paths = sorted((folder / "records").glob("*.json"))
    if not paths or not (folder / NOTES).is_file():
        raise InputError(f"{folder} has no records of a benchmark; semid benchmark writes them")
    records: list[Record] = [json.loads(path.read_text()) for path in paths]
    return sorted(records, key=order), json.loads((folder / NOTES).read_text())


def write_tables(
    folder: Path,
    rows: Sequence[Record],
    tests: Sequence[Record],
    notes: Mapping[str, Record],
    text: str,
) -> None:
    """Write summary.json, and its Markdown as summary.md."""
    summary = {"rows": rows, "significance": tests, "data": notes}
    for name, content in (("summary.json", json.dumps(summary, indent=2)), ("summary.md", text)):
        with written_aside(folder / name) as path:
            path.write_text(content)
