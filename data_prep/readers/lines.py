"""CSV and JSON lines, plain or gzipped → tables, with the line number of each row."""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import orjson
import polars as pl

from data_prep.errors import InputError
from data_prep.storage.files import existing_file
from data_prep.text import as_text

__all__ = ["json_lines", "json_value", "read_csv", "read_json_lines", "table_of"]

BOM = b"\xef\xbb\xbf"
# orjson rounds whole numbers that do not fit into 64 bits.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
PLAIN = (str, int, float, bool)


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each non-blank line of a plain or gzipped text file, with its number from 1.

    Raises:
        InputError: the file is missing, or its gzip stream is broken.
    """
    with _opened(path) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix(BOM) if number == 1 else line
                if text.strip():
                    yield number, text
        except (OSError, EOFError, zlib.error) as error:
            raise _not_gzip(path, error) from error


def json_value(line: bytes) -> Any:
    """Return the value of a line of JSON; whole numbers of any size are exact.

    Raises:
        orjson.JSONDecodeError: the line is not JSON.
    """
    value = orjson.loads(line)
    return json.loads(line) if _LONG_NUMBER.search(line) else value


def read_json_lines(path: Path) -> tuple[pl.DataFrame, list[int]]:
    """Return a table with one row for each line's JSON object, and the line of each row.

    Raises:
        InputError: the file has no line, or a line is not a JSON object.
    """
    rows: list[dict[str, Any]] = []
    numbers = []
    for number, line in json_lines(path):
        try:
            row = json_value(line)
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: not JSON ({error}); correct the line"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: an object {{…}} is needed, one item a line")
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise InputError(f"{path}: the file is empty")
    return table_of(rows), numbers


def table_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return a table of rows; a column with several types has Python objects."""
    names = dict.fromkeys(chain.from_iterable(rows))
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def read_csv(path: Path) -> tuple[pl.DataFrame, list[int]]:
    """Return a table of texts, with empty ones null, and the first line of each row.

    Raises:
        InputError: the file is empty or not UTF-8; a row has more or fewer fields than the header;
            or quotes do not close.
    """
    with _opened(path) as file:
        first = 1
        rows: list[list[str]] = []
        numbers: list[int] = []
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
        try:
            header = next(reader, None)
            if header is None:
                raise InputError(f"{path}: the file is empty")
            first = reader.line_num + 1
            for row in reader:
                if row:
                    if len(row) != len(header):
                        raise _ragged(path, first, row, header)
                    rows.append(row)
                    numbers.append(first)
                first = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{path}, line {first}: not CSV ({error}); put quotes around the field, and double "
                f"those in it"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, about line {first}: not UTF-8 ({error.reason}); save the file as UTF-8"
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise _not_gzip(path, error) from error
    twice = [name for at, name in enumerate(header) if name in header[:at]]
    if twice:
        raise InputError(f"{path}: two columns are named {twice[0]!r}; rename one")
    values = zip(*rows, strict=True) if rows else [()] * len(header)
    columns = [
        pl.Series(name, [field or None for field in fields], dtype=pl.String)
        for name, fields in zip(header, values, strict=True)
    ]
    return pl.DataFrame(columns), numbers


def _ragged(path: Path, line: int, row: list[str], header: list[str]) -> InputError:
    cause = "more" if len(row) > len(header) else "fewer"
    return InputError(
        f"{path}, line {line}: {len(row)} fields, {cause} than the {len(header)} of the header "
        f"(it begins {row[0][:40]!r}); correct the line. Text with commas or line breaks needs "
        f"quotes; a file that was cut short also ends like this"
    )


def _opened(path: Path) -> IO[bytes]:
    existing_file(path)
    file = path.open("rb")
    zipped = path.suffix.lower() == ".gz" or file.peek(2)[:2] == b"\x1f\x8b"
    if not zipped:
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path))


def _not_gzip(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is not a readable gzip file: {error}")


def _column(name: str, values: list[Any]) -> pl.Series:
    """Return a column of one type, or of Python objects if polars would change a value."""
    try:
        column = pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        column = None
    if column is not None and (_flat(values) or _same_texts(values, column)):
        return column
    return pl.Series(name, values, dtype=pl.Object)


def _flat(values: list[Any]) -> bool:
    """Return whether all values are plain and of one type, or lists of such, which polars keeps."""
    kinds = set(map(type, values)) - {type(None)}
    if kinds == {list}:
        kinds = set(map(type, chain.from_iterable(filter(None, values)))) - {type(None)}
    return len(kinds) < 2 and kinds.issubset(PLAIN)


def _same_texts(values: list[Any], column: pl.Series) -> bool:
    """Return whether a column kept all structs and nested lists; polars drops unknown fields."""
    return all(
        value is None if kept is None else as_text(kept) == as_text(value)
        for value, kept in zip(values, column.to_list(), strict=True)
    )
