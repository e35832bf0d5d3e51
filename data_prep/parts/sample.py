"""A sample of a catalogue in parts, read in one pass."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.parts.items import ItemParts, Piece
from data_prep.parts.table import Parts
from data_prep.tables import check_items, check_vectors, join_vectors

__all__ = ["sampled_items", "sampled_rows", "vectors_by_id"]

BATCH = 8192
PIECE = 2**20


def sampled_rows(rows: int, size: int, seed: int) -> NDArray[np.int64]:
    """Draw `size` of the rows 0…rows−1 without replacement, ascending; all rows if there are fewer.

    Args:
        seed: the same seed draws the same rows.
    """
    if rows <= size:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def sampled_items(
    catalogue: ItemParts, rows: NDArray[np.int64], fields: Sequence[str]
) -> pl.DataFrame:
    """Return some rows of a catalogue as Items, in order.

    Args:
        rows: ascending row numbers.
        fields: the fields to read beside `item_id` and `text`.

    Raises:
        InputError: a value cannot be read, or an item is there twice.
    """
    parts: list[pl.DataFrame] = []
    for number, first in enumerate(range(0, catalogue.items.rows, PIECE)):
        end = min(first + PIECE, catalogue.items.rows)
        chosen = np.zeros(end - first, np.bool_)
        chosen[rows[(rows >= first) & (rows < end)] - first] = True
        if chosen.any():
            piece = Piece(number, first, end, np.packbits(chosen).tobytes())
            parts.extend(catalogue.with_texts(piece, BATCH, fields))
    return check_items(pl.concat(parts), catalogue.items.source)


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
