"""Tables and vectors in a program's memory → polars and NumPy."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.readers.lines import table_of
from data_prep.tables import check_items

__all__ = ["Table", "as_items", "as_matrix", "as_polars"]


class PandasFrame(Protocol):
    """The part of a pandas DataFrame that is read here; pandas need not be installed."""

    def astype(self, dtype: Any, /) -> Any: ...
    def notna(self) -> Any: ...


Table = pl.DataFrame | pl.LazyFrame | PandasFrame | Iterable[Mapping[str, Any]]


def as_polars(table: Table, name: str) -> pl.DataFrame:
    """Return a table as a polars DataFrame; missing values of pandas become null.

    Args:
        table: a polars DataFrame, which is returned unchanged; a pandas DataFrame, whose index is
            ignored; or rows, each a mapping of column names to values.
        name: name of the table in error messages.

    Raises:
        InputError: the table is none of these, or its values do not make columns.
    """
    if isinstance(table, pl.DataFrame):
        return table
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    given: Any = table
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        plain = given.astype(object)
        given = plain.where(plain.notna(), None).to_dict("records")
    try:
        rows = [{key: _plain(key, value) for key, value in dict(row).items()} for row in given]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name}: a {type(table).__name__} is not a table; give a polars or pandas "
            f"DataFrame, or a list of dicts"
        ) from error
    try:
        return table_of(rows)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise InputError(f"{name}: the rows cannot be read: {error}") from error


def as_items(table: Table, mapping: ColumnMapping | None = None) -> pl.DataFrame:
    """Return a catalogue in the Items schema.

    Args:
        mapping: of the tokenizer that reads it; columns with our names may stand in it too.

    Raises:
        InputError: as `as_polars` and `data_prep.tables.check_items`.
    """
    frame = as_polars(table, "items")
    return check_items(frame if mapping is None else mapping.frame(frame), "items", mapping)


def _plain(column: str, value: Any) -> Any:
    """Return a value without NumPy types; all numbers of a vector become floats."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if column == "vector" and isinstance(value, list | tuple):
        return [float(part) for part in value]
    return value


def as_matrix(vectors: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return vectors (N, D) as float32.

    Args:
        name: name of the vectors in error messages.

    Raises:
        InputError: they are not numbers, or the rows differ in length.
    """
    try:
        matrix = np.asarray(vectors, dtype=np.float32)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: rows of numbers of one length are needed: {error}") from error
    if matrix.ndim != 2 or not matrix.size:
        raise InputError(f"{name}: shape {matrix.shape}; vectors as rows, (N, D), are needed")
    return np.ascontiguousarray(matrix)
