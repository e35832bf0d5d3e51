"""The vectors of a table's items, as far as they are known without encoding a text."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache
from tokenizer.pipeline import Pipeline

__all__ = ["known_directions"]


def known_directions(
    item_ids: pl.Series,
    items: pl.DataFrame | None,
    vectors: pl.DataFrame | None,
    pipeline: Pipeline,
    cache: EmbeddingCache | None,
) -> NDArray[np.float32] | None:
    """Return the items' vectors (n, D), each of length 1, or NaN where one is not known.

    Args:
        item_ids: (n,).
        items: the Items table; its column `vector`, or else its texts with the cache.
        vectors: the items' own vectors, as `data_prep.tables.check_vectors` returns them.
        cache: vectors of texts.

    Returns:
        None if none is known.
    """
    known: dict[str, NDArray[np.float32]] = {}
    if vectors is None and items is not None and "vector" in items.columns:
        vectors = items.select("item_id", "vector").drop_nulls()
    if vectors is not None:
        known = dict(zip(vectors["item_id"].to_list(), vectors["vector"].to_numpy(), strict=True))
    elif items is not None and cache is not None:
        some = items.filter(pl.col("item_id").is_in(item_ids.implode()))
        texts = pipeline.texts_of_some(some.iter_rows(named=True))
        cached = pipeline.cached(list(texts.values()), cache)
        known = {name: cached[text] for name, text in texts.items() if text in cached}
    found = np.full((len(item_ids), pipeline.config.dimension), np.nan, np.float32)
    for row, name in enumerate(item_ids.to_list()):
        if name in known:
            found[row] = known[name] / np.linalg.norm(known[name])
    return None if np.isnan(found[:, 0]).all() else found
