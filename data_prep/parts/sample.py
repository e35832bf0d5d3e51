"""A sample of a catalogue in parts, read in one pass."""

from collections.abc import Collection

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.parts.table import Parts
from data_prep.tables import check_vectors, join_vectors

__all__ = ["sampled", "sampled_rows", "vectors_by_id"]

BATCH = 8192


def sampled_rows(rows: int, size: int, seed: int) -> NDArray[np.int64]:
    """Draw `size` of the rows 0…rows−1 without replacement, ascending; all rows if there are fewer.

    Args:
        seed: the same seed draws the same rows.
    """
    if rows <= size:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def sampled(table: Parts, rows: NDArray[np.int64], drop: Collection[str] = ()) -> pl.DataFrame:
    """Return some rows of a table as they stand in its files, in order.

    Vectors are left out: what trains on them reads them by item_id.

    Args:
        rows: ascending row numbers.
        drop: columns that are left out.

    Raises:
        InputError: a file cannot be read.
    """
    columns = [name for name in table.columns if name not in {*drop, "vector"}]
    parts: list[pl.DataFrame] = []
    first = 0
    for batch in table.batches(0, table.rows, BATCH, columns):
        here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + batch.height)]
        if len(here):
            parts.append(batch[here - first])
        first += batch.height
    return pl.concat(parts, how="vertical_relaxed")


def vectors_by_id(items: pl.DataFrame, vectors: Parts) -> NDArray[np.float32]:
    """Return the vectors (n, D) of items, from files with any order of items, in one pass.

    Args:
        items: a table with the column `item_id`.

    Raises:
        InputError: an item has no vector, or two.
    """
    wanted, found = items.select("item_id"), []
    for batch in vectors.batches(0, vectors.rows, BATCH, ["item_id", "vector"]):
        own = batch.with_columns(pl.col("item_id").cast(pl.String))
        own = own.join(wanted, on="item_id", how="semi", maintain_order="left")
        if own.height:
            found.append(check_vectors(own, vectors.source))
    gathered = pl.concat(found) if found else _none()
    joined = join_vectors(items, check_vectors(gathered, vectors.source) if found else gathered)
    matrix: NDArray[np.float32] = joined["vector"].to_numpy()
    return matrix


def _none() -> pl.DataFrame:
    schema = {"item_id": pl.String(), "vector": pl.Array(pl.Float32, 1)}
    return pl.DataFrame(schema=schema)
