"""Columns of a user's table → columns of one type; an invalid value gives an error with its row.

No value is lost as null. A column with values of several types comes as Python objects.
"""

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import polars as pl

from data_prep.errors import InputError
from data_prep.text import as_text, text_fault
from data_prep.values.item_rules import (
    LONGEST_ID,
    LONGEST_TITLE,
    MOST_CATEGORIES,
    TITLE_CONTROLS,
    id_fault,
    id_text,
    price_of,
    text_of,
    title_fault,
)

__all__ = [
    "Source",
    "category_column",
    "further_column",
    "id_column",
    "id_list_column",
    "named_rows",
    "price_column",
    "readable",
    "text_column",
    "title_column",
    "with_code_lists",
]

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Source:
    """The name of a table in error messages, and the place of its rows in the file.

    Attributes:
        name: usually the file's name.
        lines: line in the file, from 1, of each row; None for files without lines.
    """

    def __init__(self, name: str, lines: Sequence[int] | None = None) -> None:
        self.name, self.lines = name, lines

    def rows(self, mask: pl.Series) -> str:
        """Name the rows where `mask` is true, by their lines if these are known."""
        if self.lines is None:
            return named_rows(mask)
        return _listed([self.lines[row] for row in mask.arg_true()], "line")

    def refusal(self, column: str, row: int, value: object, reason: str) -> InputError:
        """Return the error for one value of a column."""
        where = f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"
        shown = repr(value)
        if len(shown) > 60:
            shown = f"{shown[:57]}…"
        return InputError(f"{self.name}, {where}: column {column!r}: {shown} {reason}")


def named_rows(mask: pl.Series) -> str:
    """Name the rows where `mask` is true, counted from 1: `"rows 4, 90, 91"`."""
    return _listed((mask.arg_true() + 1).to_list(), "row")


def id_column(column: pl.Series, source: Source) -> pl.Series:
    """Return ids as text; nulls stay.

    Raises:
        InputError: a value is not a valid id (`data_prep.values.item_rules`).
    """
    column = _plain(column)
    if column.dtype.is_integer():
        return column.cast(pl.String)
    if column.dtype != pl.String:
        column = _each(column, id_text, pl.String(), source)
    blank = (column.str.strip_chars() == "").fill_null(value=True)
    _check_texts(column.set(blank, None), id_fault, LONGEST_ID, r"[\x00-\x1f\x7f-\x9f]", source)
    return column


def id_list_column(column: pl.Series, source: Source) -> pl.Series:
    """Return lists of ids as lists of texts; nulls stay.

    Raises:
        InputError: a value is not a list of ids.
    """
    column = _plain(column)
    if isinstance(column.dtype, pl.List) and (
        column.dtype.inner == pl.String or column.dtype.inner.is_integer()
    ):
        return column.cast(pl.List(pl.String))
    return _each(column, _id_list, pl.List(pl.String()), source)


def _id_list(value: object) -> list[str | None]:
    if not isinstance(value, list):
        raise ValueError("is not a list of ids")  # noqa: TRY004 # of the value
    return [None if part is None else id_text(part) for part in value]


def title_column(column: pl.Series, source: Source) -> pl.Series:
    """Return titles; nulls stay.

    Raises:
        InputError: a value is not a valid title (`data_prep.values.item_rules`).
    """
    column = text_column(column, source)
    _check_texts(column, _title_fault, LONGEST_TITLE, TITLE_CONTROLS, source)
    return column


def _title_fault(title: str) -> str | None:
    fault = title_fault(title)
    if fault and re.search(TITLE_CONTROLS, title):
        return f"{fault}; --control-characters blank puts a blank in its place"
    return fault


def text_column(column: pl.Series, source: Source) -> pl.Series:
    """Return texts; lists and structs are joined as `as_text` does; nulls stay.

    Raises:
        InputError: a text contains NUL.
    """
    column = _plain(column)
    if column.dtype.is_integer():
        return column.cast(pl.String)
    if column.dtype != pl.String:
        return _each(column, text_of, pl.String(), source)
    _check_texts(column, text_fault, None, r"\x00", source)
    return column


def category_column(
    column: pl.Series,
    split: Callable[[Any], list[str | None] | None],
    source: Source,
) -> pl.Series:
    """Return one path of categories a row.

    Args:
        split: reads one value, as `data_prep.values.item_rules.category_path`.

    Raises:
        InputError: a value is not a path.
    """
    column = _plain(column)
    if column.dtype == pl.List(pl.String):
        many = (column.list.len() > MOST_CATEGORIES).fill_null(value=False)
        if not many.any():
            return column
    return _each(column, split, pl.List(pl.String()), source)


def price_column(column: pl.Series, source: Source) -> pl.Series:
    """Return prices as float64; empty texts become null.

    Raises:
        InputError: a value is not a finite number.
    """
    if column.dtype == pl.Float64 and column.is_finite().fill_null(value=True).all():
        return column
    return _each(_plain(column), price_of, pl.Float64(), source)


def readable(
    column: pl.Series,
    read: Callable[[pl.Series, Source], pl.Series],
    dtype: pl.DataType,
    source: Source,
) -> pl.Series:
    """Return a column that nothing needs; values that `read` refuses are counted and left empty."""
    try:
        return read(column, source)
    except InputError as error:
        first = error
    values: list[Any] = []
    refused: set[int] = set()
    for row in range(len(column)):
        try:
            values.append(read(column[row : row + 1], source)[0])
        except InputError:
            values.append(None)
            refused.add(row)
    lost = pl.Series([row in refused for row in range(len(column))])
    logger.warning(
        "warning: %s: %d values of column %r cannot be read and are left empty (%s); nothing needs "
        "them (%s)", source.name, len(refused), column.name, source.rows(lost), first,
    )  # fmt: skip
    return pl.Series(column.name, values, dtype=dtype)


def further_column(column: pl.Series) -> pl.Series:
    """Return a column outside the schema; values of several types become texts."""
    if column.dtype != pl.Object:
        return column
    texts = [None if value is None else as_text(value) for value in column.to_list()]
    return pl.Series(column.name, texts, dtype=pl.String)


def with_code_lists(ids: pl.DataFrame) -> pl.DataFrame:
    """Return a table of IDs whose codes are lists, also where CSV has them as text: `12-240-3`.

    Raises:
        InputError: a text is not codes.
    """
    if ids.schema.get("codes") != pl.String:
        return ids
    codes = ids["codes"].str.split("-").cast(pl.List(pl.UInt16()), strict=False)
    wrong = (codes.list.contains(None, nulls_equal=True) & ids["codes"].is_not_null()).arg_true()
    if len(wrong):
        raise InputError(
            f"codes of another type: row {wrong[0] + 1} has {ids['codes'][wrong[0]]!r}; codes are "
            f"whole numbers below 65,536 joined by -, such as 12-240-3"
        )
    return ids.with_columns(codes=codes)


def _plain(column: pl.Series) -> pl.Series:
    """Return a column as texts if it has dictionary-encoded texts or texts stored as bytes."""
    dtype = column.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Null):
        return column.cast(pl.String)
    if isinstance(dtype, pl.List | pl.Array):
        inner = dtype.inner
        if isinstance(dtype, pl.Array) or isinstance(inner, pl.Categorical | pl.Enum | pl.Null):
            named = isinstance(inner, pl.Categorical | pl.Enum | pl.Null)
            return column.cast(pl.List(pl.String) if named else pl.List(inner))
        return column
    if dtype == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return column
    return column


def _each(
    column: pl.Series, read: Callable[[Any], T], dtype: pl.DataType, source: Source
) -> pl.Series:
    """Read a column value by value."""
    values: list[T | None] = []
    for row, value in enumerate(column.to_list()):
        if value is None:
            values.append(None)
            continue
        try:
            values.append(read(value))
        except ValueError as error:
            raise source.refusal(column.name, row, value, str(error)) from error
    return pl.Series(column.name, values, dtype=dtype)


def _check_texts(
    column: pl.Series,
    fault: Callable[[str], str | None],
    longest: int | None,
    suspect: str,
    source: Source,
) -> None:
    """Raise an error for the first text with a fault; only suspect texts are checked one by one."""
    looked_at = column.str.contains(suspect)
    if longest is not None:
        looked_at |= column.str.len_bytes() > longest
    for row in looked_at.fill_null(value=False).arg_true():
        if reason := fault(column[row]):
            raise source.refusal(column.name, row, column[row], reason)


def _listed(places: Sequence[int], word: str, most: int = 5) -> str:
    listed = ", ".join(str(place) for place in places[:most])
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return f"{word if len(places) == 1 else f'{word}s'} {listed}{more}"
