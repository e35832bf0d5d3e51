"""A search data set with a structure: a query names a group, the history tells the shop."""

from dataclasses import replace

import numpy as np
import polars as pl

from recsys.search.data.dataset import SearchDataset
from recsys.search.data.requests import of_histories, with_vectors

GROUPS, SHOPS = 12, 5
WIDTH = GROUPS + SHOPS


def item_vectors() -> np.ndarray:
    """Return a vector for each group and shop: both are in it, and a little noise."""
    number = np.arange(GROUPS * SHOPS)
    one_hot = np.zeros((len(number), WIDTH), dtype=np.float32)
    one_hot[number, number // SHOPS] = 1
    one_hot[number, GROUPS + number % SHOPS] = 1
    draw = np.random.default_rng(0)
    return one_hot + 0.05 * draw.standard_normal(one_hot.shape).astype(np.float32)


def query_vectors(texts: list[str] | tuple[str, ...]) -> np.ndarray:
    vectors = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, text in enumerate(texts):
        vectors[row, int(text.split()[-1])] = 1
    return vectors


def planted(users: int = 400, events: int = 6, seed: int = 0) -> SearchDataset:
    """Return users that buy in one shop; codes are the group and the shop."""
    draw = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        shop = int(draw.integers(SHOPS))
        groups = draw.integers(GROUPS, size=events).tolist()
        rows += [(f"u{user}", f"i{own * SHOPS + shop}", f"things of {own}") for own in groups]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "query"], orient="row")
    ids = [f"i{number}" for number in range(GROUPS * SHOPS)]
    dataset = of_histories(table, ids, "planted")
    number = np.arange(GROUPS * SHOPS)
    codes = np.stack([number // SHOPS, number % SHOPS], axis=1).astype(np.uint16)
    full = with_vectors(dataset, item_vectors(), query_vectors, ("planted", "1"))  # type: ignore[arg-type]
    return replace(full, codes=codes, codebook_size=GROUPS, tokenizer="f00d")
