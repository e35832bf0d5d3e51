"""Users whose last two events have the same time are told apart from the others."""

from pathlib import Path

import polars as pl

from tests.bench.ties import tied_users


def test_the_last_two_events_decide(tmp_path: Path) -> None:
    events = [
        ("a", "1", 5),
        ("a", "2", 5),
        ("a", "3", 6),
        ("b", "3", 1),
        ("b", "1", 7),
        ("b", "2", 7),
    ]
    pl.DataFrame(events, ["user_id", "item_id", "timestamp"], orient="row").write_parquet(
        tmp_path / "interactions.parquet"
    )
    rows = [("b", ["3"], "1", "2"), ("a", ["1"], "2", "3")]
    pl.DataFrame(rows, ["user_id", "history", "validation", "test"], orient="row").write_parquet(
        tmp_path / "sequences.parquet"
    )
    assert tied_users(tmp_path).tolist() == [True, False]
