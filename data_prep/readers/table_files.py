"""A file of any format that is read here → a table, with the line of each row."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.input_files.standard_input import STANDARD_INPUT, file_of
from data_prep.input_files.workbooks import ENDINGS as WORKBOOKS
from data_prep.input_files.workbooks import read_workbook
from data_prep.readers.csv_files import SEPARATORS, read_csv
from data_prep.readers.lines import opened, read_json
from data_prep.storage.files import existing_file

__all__ = ["FORMATS", "TableFile", "read_table", "read_table_file"]

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON_LINES = (".jsonl", ".ndjson")
JSON = ".json"
GZ = ".gz"
FORMATS = (".parquet", *DELIMITED, *JSON_LINES, JSON, *WORKBOOKS)
NAMES = {mark: name for name, mark in SEPARATORS.items()}


@dataclass(frozen=True)
class TableFile:
    """A table as it stands in a file.

    Attributes:
        name: the file's name, for messages.
        lines: the line of each row, from 1; None for files without lines.
        described: format, encoding and separator in words.
    """

    name: str
    frame: pl.DataFrame
    lines: list[int] | None
    described: str


def read_table(path: Path) -> pl.DataFrame:
    """Read a file as `read_table_file` does, and return the table alone.

    Raises:
        InputError: as `read_table_file`.
    """
    return read_table_file(path).frame


def read_table_file(path: Path, encoding: str = "", separator: str = "") -> TableFile:
    """Read any file of `FORMATS`, those of texts also gzipped; `-` is standard input.

    Columns of CSV and workbooks stay text, so that ids keep their leading zeros. If a column of
    JSON has values of several types, it is a column of Python objects, which `data_prep.tables` can
    read.

    Args:
        encoding: of a file of texts; empty to find it.
        separator: of CSV, one character or its name; empty to find it.

    Raises:
        InputError: the file is missing, has an unknown format, or is broken; for files with lines
            the message names the line.
    """
    name = "standard input" if path == STANDARD_INPUT else path.name
    ending, path = path.name.lower().removesuffix(GZ), existing_file(file_of(path))
    kind = _kind(path, ending, name)
    if kind == "parquet":
        try:
            return TableFile(name, pl.read_parquet(path, glob=False), None, "parquet")
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{path} is not a readable parquet file: {reason}") from error
    if kind == "workbook":
        return TableFile(name, *read_workbook(path), "workbook, first sheet")
    if kind == "delimited":
        found = read_csv(path, encoding, separator)
        mark = NAMES.get(found.separator, repr(found.separator))
        told = f"CSV, {found.encoding}, separator {mark}"
        return TableFile(name, found.frame, found.lines, told)
    frame, lines, encoding = read_json(path, encoding, whole=kind == "json")
    told = "JSON, one array" if lines is None else "JSON lines"
    return TableFile(name, frame, lines, f"{told}, {encoding}")


def _kind(path: Path, ending: str, name: str) -> str:
    """Return the kind of a file by its name, and by its first bytes where the name says nothing."""
    for kind, endings in (
        ("parquet", (".parquet",)),
        ("workbook", WORKBOOKS),
        ("delimited", DELIMITED),
        ("json lines", JSON_LINES),
        ("json", (JSON,)),
    ):
        if ending.endswith(endings):
            return kind
    if name != "standard input":
        raise InputError(
            f"{path}: unknown format; use one of {', '.join(FORMATS)}; those of texts also with .gz"
        )
    with path.open("rb") as file:
        first = file.peek(4)[:4]
    if first == b"PAR1":
        return "parquet"
    if first[:2] == b"PK":
        return "workbook"
    return "json" if _first_character(path) in (b"[", b"{") else "delimited"


def _first_character(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
