"""Interactions → each user's history in time order; the last two items are split off."""

import polars as pl

from data_prep.errors import InputError
from data_prep.values.times import NANOSECOND, TIMESTAMP

__all__ = ["LEAST", "in_time_order", "k_core", "leave_one_out"]

LEAST = 3  # events of a user: one to train, one to validate, one to test


def in_time_order(interactions: pl.DataFrame) -> pl.DataFrame:
    """Sort by user (in order of first appearance), then by time; file order breaks ties.

    In the Amazon data of 2014, timestamps are whole days: 44–49 % of users have their last two
    events on one day. The tie break then decides which item is tested.
    """
    times = [name for name in (TIMESTAMP, NANOSECOND) if name in interactions.columns]
    return (
        interactions.with_row_index("_row")
        .with_columns(pl.col("_row").min().over("user_id").alias("_user"))
        .sort("_user", *times, "_row")
        .drop("_user", "_row")
    )


def k_core(interactions: pl.DataFrame, k: int) -> pl.DataFrame:
    """Drop users and items with fewer than `k` interactions until all have k; order is kept.

    Raises:
        InputError: nothing remains.
    """
    before = -1
    kept = interactions
    while before != kept.height:
        before = kept.height
        kept = kept.filter((pl.len().over("user_id") >= k) & (pl.len().over("item_id") >= k))
    if kept.is_empty():
        raise InputError(
            f"no interactions are left when every user and item needs {k}; use a smaller --k-core"
        )
    return kept


def leave_one_out(interactions: pl.DataFrame) -> pl.DataFrame:
    """Split each user's sequence: the last item is for the test, the one before for validation.

    Args:
        interactions: in the order of `in_time_order`.

    Returns:
        One row for each user with at least three events: `user_id`, `history` (list of item ids),
            `validation`, `test`.

    Raises:
        InputError: no user has three events.
    """
    sequences = interactions.group_by("user_id", maintain_order=True).agg("item_id")
    sequences = sequences.filter(pl.col("item_id").list.len() >= LEAST)
    if sequences.is_empty():
        raise InputError("no user has the three interactions that training and two tests need")
    items = pl.col("item_id").list
    return sequences.select(
        "user_id",
        items.slice(0, items.len() - 2).alias("history"),
        items.get(-2).alias("validation"),
        items.get(-1).alias("test"),
    )
