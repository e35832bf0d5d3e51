"""A user's own catalogue or vectors: parquet, CSV or JSON lines → checked tables."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import polars as pl

from data_prep.errors import InputError
from data_prep.storage.files import existing_file
from data_prep.tables import check_items, check_vectors

__all__ = ["json_lines", "read_items", "read_table", "read_vectors"]

FORMATS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson")


def read_items(
    path: Path, columns: Mapping[str, str] | None = None, category_separator: str = ">"
) -> pl.DataFrame:
    """Read a catalogue into the Items schema.

    Args:
        path: a file in one of `FORMATS`.
        columns: our column name → the file's, for columns that are named otherwise there.
        category_separator: splits `categories` where a row holds them as one text.

    Raises:
        InputError: the file cannot be read, or `check_items` refuses it.
    """
    frame = _renamed(read_table(path), columns or {}, path)
    if frame.is_empty():
        raise InputError(f"{path}: the catalogue has no items")
    if "categories" in frame.columns:
        frame = frame.with_columns(_category_path(frame["categories"], category_separator))
    return check_items(frame, path.name)


def read_vectors(path: Path) -> pl.DataFrame:
    """Read `item_id` and `vector` from a parquet file.

    Raises:
        InputError: the file cannot be read, or `check_vectors` refuses it.
    """
    return check_vectors(read_table(path), path.name)


def read_table(path: Path) -> pl.DataFrame:
    """Read any file of `FORMATS`; CSV columns stay text, so that ids keep their leading zeros.

    Raises:
        InputError: the file is missing, of an unknown format, or broken (JSON lines name the line).
    """
    existing_file(path)
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return pl.read_parquet(path, glob=False)
        if name.endswith((".csv", ".csv.gz")):
            return pl.read_csv(path, infer_schema=False, glob=False)
    except pl.exceptions.NoDataError as error:
        raise InputError(f"{path}: the file is empty") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is not a readable {path.suffix[1:]} file: {reason}") from error
    if name.endswith((".jsonl", ".ndjson", ".jsonl.gz")):
        return _read_json_lines(path)
    raise InputError(f"{path}: unknown format; use one of {', '.join(FORMATS)}")


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each line of a plain or gzipped text file that is not blank, with its number from 1.

    Raises:
        InputError: the file is missing, or its gzip stream is broken.
    """
    existing_file(path)
    zipped = path.suffix == ".gz"
    with gzip.open(path) if zipped else path.open("rb") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is not a readable gzip file: {error}") from error


def _read_json_lines(path: Path) -> pl.DataFrame:
    rows = []
    for number, line in json_lines(path):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error}); mend the line") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: an object {{…}} is needed, one item a line")
        rows.append(row)
    if not rows:
        raise InputError(f"{path}: the file is empty")
    try:
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise InputError(f"{path}: the lines do not share one shape: {error}") from error


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


def _category_path(column: pl.Series, separator: str) -> pl.Series:
    """Bring categories to one path an item, a list of names from the widest to the narrowest."""
    if column.dtype == pl.List(pl.List(pl.String)):
        return column.list.first()
    if column.dtype != pl.String:
        return column
    parts = column.to_frame().select(
        pl.col("categories")
        .str.split(separator)
        .list.eval(pl.element().str.strip_chars())
        .list.eval(pl.element().filter(pl.element() != ""))
    )
    return parts["categories"]
