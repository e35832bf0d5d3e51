"""Search a table of IDs for the items nearest to a latent, without a service."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.index.semantic_index import SemanticIndex
from tokenizer.pipeline import Pipeline

__all__ = ["latent_of_item", "nearest_items", "similar_items"]


def similar_items(
    ids: pl.DataFrame,
    pipeline: Pipeline,
    *,
    item_id: str | None = None,
    text: str | None = None,
    vector: NDArray[np.float32] | None = None,
    k: int = 10,
) -> pl.DataFrame:
    """Find the items nearest to an item of the table, a text or a vector (D,).

    Args:
        ids: a table that `tokenizer.offline.id_table.check_ids` returned.
        item_id: the item whose neighbours are wanted; it is left out of the result.

    Returns:
        As `nearest_items`.

    Raises:
        InputError: not exactly one of item_id, text and vector is given; the one given cannot be
            used; or k is below 1.
    """
    if sum(given is not None for given in (item_id, text, vector)) != 1:
        raise InputError("give exactly one of item_id, text and vector")
    if k < 1:
        raise InputError(f"k is {k}; give 1 or more")
    if item_id is not None:
        latent = latent_of_item(ids, pipeline, item_id)
    elif text is not None:
        latent = pipeline.latents(pipeline.embed([text]))[0]
    else:
        latent = pipeline.latents(np.asarray(vector)[None])[0]
    return nearest_items(ids, pipeline, latent, k, item_id)


def nearest_items(
    ids: pl.DataFrame,
    pipeline: Pipeline,
    latent: NDArray[np.float32],
    k: int,
    leave_out: str | None = None,
) -> pl.DataFrame:
    """Find the items whose decoded latents are nearest to a latent.

    Args:
        ids: a table that `tokenizer.offline.id_table.check_ids` returned.
        latent: (d,), as `Pipeline.latents` or `latent_of_item` makes it.
        leave_out: item_id of an item to leave out.

    Returns:
        Up to k rows, nearest first: `item_id`, `semantic_id`, and `distance`, float32, the squared
            distance that the service also reports.
    """
    nearest: pl.DataFrame
    index = SemanticIndex(pipeline.codebooks)
    codes = np.asarray(ids["codes"].to_list(), dtype=np.uint16).reshape(-1, pipeline.levels)
    index.add(np.arange(ids.height), codes)
    keys, distances = index.search(latent[None, :], k + (leave_out is not None))
    there = keys[0] >= 0
    nearest = ids.select("item_id", "semantic_id")[keys[0][there]]
    found = nearest.with_columns(pl.Series("distance", distances[0][there]))
    return found.filter(pl.col("item_id").ne_missing(leave_out)).head(k)


def latent_of_item(ids: pl.DataFrame, pipeline: Pipeline, item_id: str) -> NDArray[np.float32]:
    """Return the decoded latent (d,) of an item's codes.

    Raises:
        InputError: the table of IDs does not have the item.
    """
    codes = ids.filter(pl.col("item_id") == item_id)["codes"].to_list()
    if not codes:
        raise InputError(f"the table of IDs has no item {item_id!r}; tokenize it first")
    latent: NDArray[np.float32] = pipeline.latents_of_codes(np.asarray(codes, np.uint16))[0]
    return latent
