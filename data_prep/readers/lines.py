"""JSON lines and JSON arrays, plain or gzipped → tables, with the line number of each row."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

import orjson
import polars as pl

from data_prep.errors import InputError
from data_prep.input_files.encodings import check_encoding, find_encoding
from data_prep.storage.files import existing_file
from data_prep.text import as_text

__all__ = [
    "json_lines",
    "json_value",
    "not_gzip",
    "opened",
    "read_json",
    "table_of",
]

BOM = b"\xef\xbb\xbf"
# orjson rounds whole numbers that do not fit into 64 bits.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
PLAIN = (str, int, float, bool)


def json_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each non-blank line of a plain or gzipped text file, with its number from 1.

    Raises:
        InputError: the file is missing, or its gzip stream is broken.
    """
    with opened(path) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix(BOM) if number == 1 else line
                if text.strip():
                    yield number, text
        except (OSError, EOFError, zlib.error) as error:
            raise not_gzip(path, error) from error


def json_value(line: bytes) -> Any:
    """Return the value of a line of JSON; whole numbers of any size are exact.

    Raises:
        orjson.JSONDecodeError: the line is not JSON.
    """
    value = orjson.loads(line)
    return json.loads(line) if _LONG_NUMBER.search(line) else value


def read_json(
    path: Path, encoding: str = "", *, whole: bool = False
) -> tuple[pl.DataFrame, list[int] | None, str]:
    """Read a file with one JSON object a line, or with one array of objects.

    An object whose only list of objects is one of its fields, as `{"products": [...]}`, stands for
    this list.

    Args:
        encoding: the file's encoding; empty to find it.
        whole: whether the file may be an object over many lines; an array is found in any case.

    Returns:
        The table, the line of each row, or None for an array, and the encoding.

    Raises:
        InputError: the file is empty, or not of this form; the message names the line or the row.
    """
    try:
        encoding = (
            check_encoding(encoding) if encoding else find_encoding(path, partial(opened, path))
        )
        if (whole or _starts_an_array(path, encoding)) and (
            rows := _array(path, encoding)
        ) is not None:
            return table_of(rows), None, encoding
        frame, lines = _read_lines(path, encoding)
    except UnicodeError as error:
        raise InputError(
            f"{path}: not {encoding}; name its encoding with --encoding, or save it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise not_gzip(path, error) from error
    return frame, lines, encoding


def _starts_an_array(path: Path, encoding: str) -> bool:
    """Return whether a file begins with a list whose first element is an object."""
    with opened(path) as file:
        start = file.read(4096).decode(_without_mark(encoding), errors="ignore")
    return "".join(start.split()).startswith("[{")


def _array(path: Path, encoding: str) -> list[dict[str, Any]] | None:
    """Return the objects of a file that is one JSON value; None if it is none, or one object."""
    with opened(path) as file:
        text = file.read().decode(_without_mark(encoding)).encode()
    try:
        value = json_value(text)
    except ValueError as error:
        if text.lstrip()[:1] == b"[":
            raise InputError(f"{path}: not JSON ({error}); correct the file") from error
        return None
    if isinstance(value, dict):
        lists = {
            name: part
            for name, part in value.items()
            if isinstance(part, list) and part and all(isinstance(row, dict) for row in part)
        }
        if len(lists) != 1 or "item_id" in value:
            return None
        [value] = lists.values()
    if not isinstance(value, list):
        return None
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise InputError(
                f"{path}, row {number}: an object {{…}} is needed; a catalogue is an array of "
                f"objects, one an item"
            )
    if not value:
        raise InputError(f"{path}: the file is empty")
    return value


def _read_lines(path: Path, encoding: str) -> tuple[pl.DataFrame, list[int]]:
    rows: list[dict[str, Any]] = []
    numbers = []
    for number, line in _lines_in(path, encoding):
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


def _lines_in(path: Path, encoding: str) -> Iterator[tuple[int, bytes]]:
    if encoding.startswith("utf-8"):
        yield from json_lines(path)
        return
    with io.TextIOWrapper(opened(path), encoding=encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line.encode()


def _without_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def table_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return a table of rows; a column with several types has Python objects."""
    names = dict.fromkeys(chain.from_iterable(rows))
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def opened(path: Path) -> IO[bytes]:
    """Open a file's bytes, decompressed if it is gzipped.

    Raises:
        InputError: the file is missing or not readable.
    """
    existing_file(path)
    file = path.open("rb")
    zipped = path.suffix.lower() == ".gz" or file.peek(2)[:2] == b"\x1f\x8b"
    if not zipped:
        return file
    file.close()
    return cast("IO[bytes]", gzip.open(path))


def not_gzip(path: Path, error: Exception) -> InputError:
    """Return the error for a gzip stream that is broken."""
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
