"""Times of events → whole seconds and nanoseconds, in UTC, without loss of precision."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.values.columns import Source

__all__ = ["NANOSECOND", "TIMESTAMP", "time_columns"]

TIMESTAMP, NANOSECOND = "timestamp", "nanosecond"
SECOND = 10**9  # in nanoseconds
# The size of a number tells its unit: below MAX_SECONDS it is in seconds (years 1678 to 2261). A
# larger number is in the first smaller unit in which it is below MAX_SECONDS (from April 1970 on).
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
MAX_SECONDS = 9_200_000_000
TEXT_UNIT = "ISO 8601 texts"
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_columns(frame: pl.DataFrame, source: Source) -> list[pl.Series]:
    """Return the columns `timestamp`, int64 seconds, and `nanosecond`, int32, of a table.

    Zero fits any unit, and null stays null. A table that already has both columns keeps them as
    they are, so that a written table reads back the same.

    Raises:
        InputError: a value is not a time; or units differ, or numbers and texts are mixed.
    """
    column = frame[TIMESTAMP]
    if column.dtype == pl.Int64 and frame.schema.get(NANOSECOND) == pl.Int32:
        return [column, frame[NANOSECOND]]
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        whole = column.cast(pl.Datetime("ns")) if column.dtype == pl.Date else column
        nanoseconds = whole.dt.timestamp("ns").to_list()
    else:
        nanoseconds = _of_values(column, source)
    seconds = [None if value is None else value // SECOND for value in nanoseconds]
    rest = [None if value is None else value % SECOND for value in nanoseconds]
    return [
        pl.Series(TIMESTAMP, seconds, dtype=pl.Int64),
        pl.Series(NANOSECOND, rest, dtype=pl.Int32),
    ]


def _of_values(column: pl.Series, source: Source) -> list[int | None]:
    """Return the nanoseconds of numbers, texts, times and mixtures of them."""
    numbers: list[float | Decimal | None] = []
    stamps: list[int | None] = []
    for row, value in enumerate(column.to_list()):
        number: float | Decimal | None = None
        stamp = None
        if isinstance(value, str) and value.strip():
            number = _number(value)
            stamp = _of_text(value.strip()) if number is None else None
        elif isinstance(value, datetime | date):
            stamp = _of_time(value)
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            number = value
        elif value is None or isinstance(value, str):
            numbers.append(None)
            stamps.append(None)
            continue
        finite = number is not None and math.isfinite(number)
        if stamp is None and not finite:
            raise source.refusal(
                column.name, row, value, "is not a time; give seconds since 1970 or ISO 8601"
            )
        numbers.append(number)
        stamps.append(stamp)
    return _in_nanoseconds(numbers, stamps, column, source)


def _in_nanoseconds(
    numbers: list[float | Decimal | None],
    stamps: list[int | None],
    column: pl.Series,
    source: Source,
) -> list[int | None]:
    """Convert numbers of one unit, or texts, to nanoseconds.

    Args:
        numbers: the number of each row; None for a row with a text.
        stamps: the nanoseconds of each row with a text; None for a row with a number.
    """
    units = _units(numbers, stamps)
    found = [unit for unit in (*UNITS, TEXT_UNIT) if (units == unit).any()]
    if len(found) > 1:
        rows = [f"{unit} in {source.rows(pl.Series(units == unit))}" for unit in found[:2]]
        raise InputError(
            f"{source.name}: column {column.name!r} holds {rows[0]} and {rows[1]}; bring its times "
            f"to one unit"
        )
    beyond = units == ""
    if beyond.any():
        row = int(beyond.argmax())
        raise source.refusal(column.name, row, column[row], "is beyond the years 1678 to 2261")
    factor = SECOND // UNITS.get(found[0], 1) if found else 1
    return [
        stamp if number is None else _scaled(number, factor)
        for number, stamp in zip(numbers, stamps, strict=True)
    ]


def _units(numbers: list[float | Decimal | None], stamps: list[int | None]) -> NDArray[np.object_]:
    """Return each row's unit: `TEXT_UNIT` or one of `UNITS`; "-" for none, "" if out of range."""
    sizes = np.array([math.nan if n is None else abs(float(n)) for n in numbers])
    bounds = [MAX_SECONDS * unit for unit in UNITS.values()]
    names = np.array([*UNITS, ""], dtype=object)
    units: NDArray[np.object_] = names[np.searchsorted(bounds, np.nan_to_num(sizes), side="right")]
    units[sizes == 0] = "-"
    units[np.isnan(sizes)] = "-"
    units[np.array([stamp is not None for stamp in stamps], dtype=bool)] = TEXT_UNIT
    return units


def _scaled(number: float | Decimal, factor: int) -> int:
    if isinstance(number, int):
        return number * factor
    # A float's shortest decimal is the number as written: 1e9 + 0.1 has 0.1 of a second.
    return int((Decimal(repr(number)) if isinstance(number, float) else number) * factor)


def _number(text: str) -> int | Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return int(number) if number.is_finite() and number == int(number) else number


def _of_text(text: str) -> int | None:
    """Return the nanoseconds of an ISO 8601 text, in UTC if it has no offset; None if invalid."""
    found = _FRACTION.search(text)
    fraction = int(found[1].ljust(9, "0")[:9]) if found else 0
    try:
        return _of_time(datetime.fromisoformat(_FRACTION.sub("", text, count=1))) + fraction
    except ValueError:
        return None


def _of_time(value: date) -> int:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // timedelta(microseconds=1) * 1000
