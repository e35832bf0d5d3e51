"""What a catalogue has against a table of IDs: new, changed and vanished items."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tokenizer.pipeline import Pipeline

__all__ = ["CHANGES", "changed_items", "item_changes"]

CHANGES = {"item_id": pl.String(), "change": pl.String(), "semantic_id": pl.String()}
SAME = 1e-3  # of a distortion: another processor changes the last bits of a vector


def item_changes(
    items: pl.DataFrame, known: pl.DataFrame, ids: pl.DataFrame, changed: set[str] | None = None
) -> pl.DataFrame:
    """Return one row for each item that is `new`, `changed` or `vanished`, with its ID.

    Args:
        items: the catalogue, with `item_id`.
        known: the IDs before.
        ids: the IDs afterwards.
        changed: as `changed_items` returns them; None for none.
    """
    there, before = set(items["item_id"]), set(known["item_id"])
    kinds: Mapping[str, pl.DataFrame] = {
        "new": ids.filter(~pl.col("item_id").is_in(list(before))),
        "changed": ids.filter(pl.col("item_id").is_in(list(changed or ()))),
        "vanished": known.filter(~pl.col("item_id").is_in(list(there))),
    }
    return pl.concat(
        rows.select("item_id", change=pl.lit(kind), semantic_id="semantic_id")
        for kind, rows in kinds.items()
    )


def changed_items(
    known: pl.DataFrame, item_ids: list[str], vectors: NDArray[np.float32], pipeline: Pipeline
) -> set[str]:
    """Return the known items whose content is another than when they got their IDs.

    The distortion in the table is that of the item's vector then and of its codes. If the vector of
    today has another distance to the same codes, the content has changed.

    Args:
        known: the table of IDs.
        item_ids: items of `known`.
        vectors: (n, D), their vectors today.
    """
    rows = pl.DataFrame({"item_id": item_ids}).join(
        known, on="item_id", how="left", maintain_order="left"
    )
    codes = np.asarray(rows["codes"].to_list(), dtype=np.uint16).reshape(-1, pipeline.levels)
    today = pipeline.distortion(vectors, codes)
    before = rows["distortion"].to_numpy()
    other = np.abs(today - before) > SAME * np.maximum(before, SAME)
    return {item_id for item_id, is_other in zip(item_ids, other, strict=True) if is_other}
