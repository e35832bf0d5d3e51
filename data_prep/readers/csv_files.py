"""CSV and its relatives: tables of texts with a separator, in any encoding and with any quoting."""

import csv
import io
import logging
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.input_files.encodings import check_encoding, find_encoding
from data_prep.readers.lines import not_gzip, opened

__all__ = ["SEPARATORS", "CsvTable", "read_csv"]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
SAMPLE_ROWS = 200
SAMPLE_TEXT = 2**20  # characters that tell the separator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CsvTable:
    """A table of texts as it stands in a file.

    Attributes:
        frame: a String column for each field of the header; empty fields are null.
        lines: the first line of each row, from 1.
    """

    frame: pl.DataFrame
    lines: list[int]
    encoding: str
    separator: str


@dataclass(frozen=True)
class _Rows:
    """Rows of fields.

    Attributes:
        breaks_lines: the line of the first row with a field of several lines; 0 if there is none.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    breaks_lines: int


class _NotCsvError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


def read_csv(path: Path, encoding: str = "", separator: str = "") -> CsvTable:
    """Read a table of texts.

    Quotes are read strictly first: `"` around a field, doubled within it. If that fails, a closing
    quote may be followed by more text, and in a file with tabs a quote may be an ordinary
    character; the log tells so. Each row must have the header's number of fields in every case.

    Args:
        encoding: the file's encoding; empty to find it.
        separator: one character, or a name of `SEPARATORS`; empty to find it.

    Raises:
        InputError: the file is empty or in another encoding; a row has more or fewer fields than
            the header; quotes do not close; or two columns have one name.
    """
    try:
        encoding = (
            check_encoding(encoding) if encoding else find_encoding(path, partial(opened, path))
        )
        mark = one_character(separator) if separator else _find_separator(path, encoding)
        found = _tolerant(path, encoding, mark)
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{path}: not {encoding} ({reason}); name its encoding with --encoding, or save it as "
            f"UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise not_gzip(path, error) from error
    header = found.header
    twice = [name for at, name in enumerate(header) if name and name in header[:at]]
    if twice:
        raise InputError(f"{path}: two columns are named {twice[0]!r}; rename one")
    values = zip(*found.rows, strict=True) if found.rows else [()] * len(header)
    columns = [
        pl.Series(name, [field or None for field in fields], dtype=pl.String)
        for name, fields in zip(_named(header), values, strict=True)
    ]
    return CsvTable(pl.DataFrame(columns), found.lines, encoding, mark)


def one_character(separator: str) -> str:
    r"""Return a separator as the character that it names: `tab`, `\t` and a tab are one.

    Raises:
        InputError: it is neither a name of `SEPARATORS` nor one character.
    """
    mark = SEPARATORS.get(separator.lower(), separator.replace("\\t", "\t"))
    if len(mark) != 1 or mark in '"\r\n':
        raise InputError(
            f"--separator {separator!r} is not one character; give it, or {', '.join(SEPARATORS)}"
        )
    return mark


def _named(header: Sequence[str]) -> list[str]:
    """Return the columns' names without outer blanks; those without one are counted."""
    return [name.strip() or f"column {at}" for at, name in enumerate(header, start=1)]


def _tolerant(path: Path, encoding: str, mark: str) -> _Rows:
    """Read rows strictly, or else by the looser readings that still give whole rows."""
    strict = None
    try:
        found = _read(path, encoding, mark)
        if not found.breaks_lines:
            return found
    except _NotCsvError as error:
        strict = error
    # A field of several lines is one, or stands between two quotes that are ordinary characters.
    looser = [csv.QUOTE_NONE] if mark == "\t" or strict is None else []
    looser += [csv.QUOTE_MINIMAL] if strict and "expected after" in strict.reason else []
    for quoting in looser:
        try:
            loose = _read(path, encoding, mark, strict=False, quoting=quoting)
        except (_NotCsvError, InputError):
            continue
        if loose.breaks_lines:
            continue
        logger.warning(
            "warning: %s, line %d: a quote stands within a field and is not doubled; it is read "
            "as it stands", path.name, strict.line if strict else found.breaks_lines,
        )  # fmt: skip
        return loose
    if strict is None:
        return found
    raise InputError(
        f"{path}, line {strict.line}: not CSV ({strict.reason}); put quotes around the field, and "
        f"double those in it"
    ) from strict


def _read(
    path: Path, encoding: str, mark: str, *, strict: bool = True, quoting: int = csv.QUOTE_MINIMAL
) -> _Rows:
    csv.field_size_limit(sys.maxsize)
    first = 1
    rows: list[list[str]] = []
    lines: list[int] = []
    breaks = 0
    with closing(opened(path)) as file:
        text = io.TextIOWrapper(file, encoding=_without_mark(encoding), newline="")
        reader = csv.reader(text, delimiter=mark, strict=strict, quoting=quoting)  # type: ignore[arg-type]
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
                    lines.append(first)
                    breaks = breaks or (first if reader.line_num > first else 0)
                first = reader.line_num + 1
        except csv.Error as error:
            raise _NotCsvError(first, str(error)) from error
    return _Rows(header, rows, lines, breaks)


def _without_mark(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _find_separator(path: Path, encoding: str) -> str:
    """Return the separator that cuts the first rows into the header's number of fields."""
    with closing(opened(path)) as file:
        text = io.TextIOWrapper(
            file, encoding=_without_mark(encoding), newline="", errors="replace"
        )
        sample = text.read(SAMPLE_TEXT)
    usual = "\t" if path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")) else ","
    best, most = usual, (0.0, 0)
    for mark in (usual, *(m for m in SEPARATORS.values() if m != usual)):
        widths = list(_widths(sample, mark))
        if not widths or widths[0] < 2:
            continue
        alike = sum(width == widths[0] for width in widths) / len(widths)
        if (alike, widths[0]) > most:
            best, most = mark, (alike, widths[0])
    return best


def _widths(sample: str, mark: str) -> Iterator[int]:
    """Yield the number of fields of the sample's first rows; the last row may be cut."""
    rows = csv.reader(io.StringIO(sample, newline=""), delimiter=mark)
    whole = len(sample) < SAMPLE_TEXT
    width = 0
    for _, row in zip(range(SAMPLE_ROWS), rows, strict=False):
        if width:
            yield width
        width = len(row)
    if width and whole:
        yield width


def _ragged(path: Path, line: int, row: list[str], header: list[str]) -> InputError:
    cause = "more" if len(row) > len(header) else "fewer"
    return InputError(
        f"{path}, line {line}: {len(row)} fields, {cause} than the {len(header)} of the header "
        f"(it begins {row[0][:40]!r}); correct the line. Text with separators or line breaks "
        f"needs quotes; a file that was cut short also ends like this"
    )
