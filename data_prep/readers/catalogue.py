"""A user's own catalogue or vectors: parquet, CSV or JSON lines → checked tables."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.readers.lines import read_csv, read_json_lines
from data_prep.storage.files import existing_file
from data_prep.tables import check_items, check_vectors
from data_prep.values.columns import Source

__all__ = ["read_items", "read_table", "read_vectors"]

FORMATS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def read_items(
    path: Path, columns: Mapping[str, str] | None = None, category_separator: str = ">"
) -> pl.DataFrame:
    """Read a catalogue into the Items schema.

    Args:
        path: a file in one of `FORMATS`.
        columns: column name in the schema → name in the file, where the two differ.
        category_separator: splits `categories` if a row has them as one text.

    Raises:
        InputError: the file cannot be read, or `check_items` refuses it.
    """
    frame, lines = _read(path)
    frame = _renamed(frame, columns or {}, path)
    if frame.is_empty():
        raise InputError(f"{path}: the catalogue has no items")
    return check_items(frame, Source(path.name, lines), category_separator)


def read_vectors(path: Path) -> pl.DataFrame:
    """Read `item_id` and `vector` from a parquet file.

    Raises:
        InputError: the file cannot be read, or `check_vectors` refuses it.
    """
    return check_vectors(read_table(path), path.name)


def read_table(path: Path) -> pl.DataFrame:
    """Read any file of `FORMATS`; CSV columns stay text, so that ids keep their leading zeros.

    If a column of JSON lines has values of several types, it is a column of Python objects, which
    `data_prep.tables` can read.

    Raises:
        InputError: the file is missing, has an unknown format, or is broken; for JSON lines the
            message names the line.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[pl.DataFrame, list[int] | None]:
    """Return the table and each row's line in the file; None for files without lines."""
    existing_file(path)
    name = path.name.lower()
    if name.endswith(".parquet"):
        try:
            return pl.read_parquet(path, glob=False), None
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path} is not a readable parquet file: {reason}") from error
    if name.endswith((".csv", ".csv.gz")):
        return read_csv(path)
    if name.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        return read_json_lines(path)
    raise InputError(f"{path}: unknown format; use one of {', '.join(FORMATS)}")


def _renamed(frame: pl.DataFrame, columns: Mapping[str, str], path: Path) -> pl.DataFrame:
    for ours, theirs in columns.items():
        if theirs not in frame.columns:
            raise InputError(
                f"{path.name}: no column {theirs!r} to read as {ours!r}; "
                f"it has {', '.join(frame.columns)}"
            )
        if ours != theirs and ours in frame.columns:
            frame = frame.drop(ours)
    return frame.rename({theirs: ours for ours, theirs in columns.items()})
