"""Recommendations and metrics as tables. This module needs polars; the models do not."""

from collections.abc import Sequence

import polars as pl

from recsys.data.preparation import prepare_dataset
from recsys.recommender import FrozenRecommender, Recommender

__all__ = ["evaluated", "recommended"]


def recommended(
    recommender: Recommender,
    histories: Sequence[Sequence[str]],
    k: int,
    *,
    exclude_seen: bool,
    candidates: Sequence[str] | None = None,
    prefix: Sequence[int] = (),
) -> pl.DataFrame:
    """Rank up to k items for each history, as `Recommender.recommend` does.

    Returns:
        `history`, its number from 0; `rank`, from 1; `item_id`; `score`.

    Raises:
        InputError: as `Recommender.recommend`.
    """
    found = recommender.recommend(
        histories, k, exclude_seen=exclude_seen, candidates=candidates, prefix=prefix
    )
    rows = [
        (number, rank, item.item_id, item.score)
        for number, items in enumerate(found)
        for rank, item in enumerate(items, start=1)
    ]
    schema = {"history": pl.UInt32(), "rank": pl.UInt32(), "item_id": pl.String()}
    return pl.DataFrame(rows, {**schema, "score": pl.Float32()}, orient="row")


def evaluated(frozen: FrozenRecommender, interactions: pl.DataFrame) -> pl.DataFrame:
    """Rank every user's test item among all items, and among those outside the history.

    Args:
        interactions: the `events` of `prepare_dataset`.

    Returns:
        One row a metric: `metric`, `all` and `without_history`.

    Raises:
        InputError: the recommender was not trained on an item.
    """
    items = pl.DataFrame({"item_id": frozen.catalogue.item_ids})
    found = frozen.model().evaluate(prepare_dataset(interactions, items), "test")
    told = {part: found.metrics(part) for part in found.ranks}
    names = list(told["all"])
    columns = [pl.Series(part, [metrics[name] for name in names]) for part, metrics in told.items()]
    return pl.DataFrame([pl.Series("metric", names), *columns])
