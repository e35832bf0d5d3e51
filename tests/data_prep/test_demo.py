from collections import Counter

import polars as pl
import pytest

from data_prep.demo import demo_interactions, demo_items
from data_prep.text import TextTemplate


def test_the_catalogue_is_the_same_at_every_run_and_each_item_its_own() -> None:
    items = demo_items()
    assert items.height >= 3000
    assert items.equals(demo_items())
    assert not items.equals(demo_items(seed=1))
    texts = TextTemplate().render_all(items.iter_rows(named=True))
    assert len(set(texts)) == items.height
    assert items.select(pl.all().null_count()).row(0) == (0,) * items.width


def test_shoppers_have_habits() -> None:
    """The shelf that a shopper buys from most takes more of the purchases than by chance."""
    items = demo_items()
    log = demo_interactions(items)
    assert log.equals(demo_interactions(items))
    assert log["user_id"].n_unique() >= 2000
    assert set(log["item_id"]) <= set(items["item_id"])
    shelf = {row["item_id"]: tuple(row["categories"]) for row in items.iter_rows(named=True)}

    def top_share(item_ids: pl.Series) -> float:
        histories = log.with_columns(item_ids).group_by("user_id").agg("item_id")["item_id"]
        shares = [
            Counter(shelf[item] for item in history).most_common(1)[0][1] / len(history)
            for history in histories
        ]
        return sum(shares) / len(shares)

    assert top_share(log["item_id"]) > 1.8 * top_share(log["item_id"].shuffle(seed=0))
    assert log.group_by("user_id").agg(pl.col("timestamp").is_sorted())["timestamp"].all()


def test_more_items_than_combinations_are_refused() -> None:
    with pytest.raises(ValueError, match="larger than population"):
        demo_items(100_000)
