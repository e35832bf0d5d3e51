"""Times of every unit keep all their digits."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.sequences import in_time_order, leave_one_out
from data_prep.tables import check_interactions


def _log(*times: object) -> pl.DataFrame:
    items = [str(number) for number in range(len(times))]
    try:
        column = pl.Series("timestamp", times)
    except TypeError:
        column = pl.Series("timestamp", times, dtype=pl.Object)
    table = pl.DataFrame({"user_id": ["u"] * len(times), "item_id": items})
    return check_interactions(table.with_columns(column), "log")


@pytest.mark.parametrize(
    "times",
    [
        [1e9 + 0.9, 1e9 + 0.5, 1e9 + 0.1],
        [1_700_000_000_002, 1_700_000_000_001, 1_700_000_000_000],
        [1_700_000_000_000_000_003, 1_700_000_000_000_000_002, 1_700_000_000_000_000_001],
        ["2023-11-15T10:00:00.3Z", "2023-11-15T10:00:00.2Z", "2023-11-15T12:00:00.1+02:00"],
        ["1000000000.9", "1000000000.5", "1000000000.1"],
        [1e9 + 0.9, 10**9, 10**9 - 1],
    ],
)
def test_the_newest_event_tests_by_the_full_value(times: list[object]) -> None:
    split = leave_one_out(in_time_order(_log(*times)))
    assert split.rows() == [("u", ["2"], "1", "0")]


@pytest.mark.parametrize(
    ("time", "seconds", "nanosecond"),
    [
        (1_700_000_000, 1_700_000_000, 0),
        (1_700_000_000_123, 1_700_000_000, 123_000_000),
        (1_700_000_000_123_456, 1_700_000_000, 123_456_000),
        ("2023-11-14T22:13:20.000000001", 1_700_000_000, 1),
        ("2023-11-15", 1_700_006_400, 0),
        (date(2023, 11, 15), 1_700_006_400, 0),
        (datetime(2023, 11, 15, tzinfo=UTC), 1_700_006_400, 0),
        (-0.5, -1, 500_000_000),
        (0, 0, 0),
    ],
)
def test_units_are_told_apart(time: object, seconds: int, nanosecond: int) -> None:
    log = _log(time)
    assert log.select("timestamp", "nanosecond").rows() == [(seconds, nanosecond)]
    assert check_interactions(log, "again").equals(log)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([1_700_000_000, 1_700_000_000_000], "holds seconds in row 1 and milliseconds in row 2"),
        (["2023-11-15", "17"], "seconds in row 2 and ISO 8601 texts in row 1"),
        (["17", "soon"], "row 2: column 'timestamp': 'soon' is not a time"),
        ([10**19], "beyond the years"),
        ([float("nan")], "is not a time"),
        ([True], "is not a time"),
        ([17, None], "1 empty value"),
    ],
)
def test_mixed_units_and_what_is_no_time_are_refused(times: list[object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        _log(*times)
