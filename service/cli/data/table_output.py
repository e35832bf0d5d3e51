"""Tables that commands write: parquet, or CSV by the file's ending."""

from pathlib import Path

import polars as pl

from data_prep.errors import InputError

__all__ = ["check_ending", "write_table"]

CSV = ".csv"
OTHERS = (".json", ".jsonl", ".ndjson", ".tsv", ".txt", ".xlsx", ".xls", ".gz", ".zip")


def check_ending(path: Path, *, csv: bool = True) -> Path:
    """Return `path` if a table can be written under this name.

    Args:
        csv: whether CSV can be written too.

    Raises:
        InputError: the ending is of another format.
    """
    name = path.name.lower()
    if name.endswith(OTHERS) or (name.endswith(CSV) and not csv):
        known = ".parquet or .csv" if csv else ".parquet"
        raise InputError(f"--out {path}: the table is written as {known}; name it so")
    return path


def write_table(frame: pl.DataFrame, path: Path, place: Path) -> None:
    """Write a table to `place`, in the format of the ending of `path`; lists are joined by `-`."""
    if not path.name.lower().endswith(CSV):
        frame.write_parquet(place)
        return
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    joined = [pl.col(name).cast(pl.List(pl.String())).list.join("-") for name in lists]
    frame.with_columns(joined).write_csv(place)
