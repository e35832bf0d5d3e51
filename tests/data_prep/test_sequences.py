import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.sequences import in_time_order, k_core, leave_one_out


def _log(*events: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(events, schema=["user_id", "item_id", "timestamp"], orient="row")


def test_file_order_breaks_ties_and_users_keep_their_order() -> None:
    log = _log(("z", "late", 9), ("a", "x", 1), ("z", "first", 5), ("z", "second", 5))
    ordered = in_time_order(log)
    assert ordered["user_id"].to_list() == ["z", "z", "z", "a"]
    assert ordered["item_id"].to_list() == ["first", "second", "late", "x"]


def test_k_core_drops_until_nothing_changes() -> None:
    # c falls with its only user; then u has one event left, and b only one
    log = _log(("u", "b", 1), ("u", "c", 2), ("v", "b", 1), ("v", "a", 2), ("w", "a", 1))
    log = pl.concat([log, _log(("w", "a", 3), ("v", "a", 4))])
    kept = k_core(log, 2)
    assert set(kept["user_id"]) == {"v", "w"}
    assert set(kept["item_id"]) == {"a"}
    with pytest.raises(InputError, match="smaller --k-core"):
        k_core(log, 6)


def test_the_last_item_tests_and_the_one_before_validates() -> None:
    log = _log(*[("u", item, 0) for item in "abcd"], ("short", "a", 0), ("short", "b", 0))
    split = leave_one_out(log)
    assert split.rows() == [("u", ["a", "b"], "c", "d")]
    with pytest.raises(InputError, match="three interactions"):
        leave_one_out(log.filter(pl.col("user_id") == "short"))
