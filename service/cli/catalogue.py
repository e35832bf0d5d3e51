"""What several commands do with a catalogue: read it, make its vectors."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.catalog import read_vectors
from data_prep.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.encoders import Encoder
from data_prep.errors import InputError
from data_prep.text import TextTemplate
from service.cli.console import bar

__all__ = ["open_cache", "vectors_of_items", "vectors_of_texts"]


def open_cache(folder: Path | None) -> EmbeddingCache:
    """Open the cache of vectors in `folder`, or in its usual place."""
    return EmbeddingCache(folder or default_cache_folder())


def vectors_of_texts(
    items: pl.DataFrame, template: TextTemplate, encoder: Encoder, cache: Path | None
) -> NDArray[np.float32]:
    """Return the vectors (n, D) of the items' texts, with a progress bar.

    Raises:
        InputError: an item has no text.
    """
    texts = template.render_all(items.iter_rows(named=True))
    with open_cache(cache) as kept, bar(f"embedding with {encoder.name}", len(texts)) as progress:
        return embed(texts, encoder, kept, progress)


def vectors_of_items(items: pl.DataFrame, path: Path) -> NDArray[np.float32]:
    """Return the vectors (n, D) that the file at `path` has for the items.

    Raises:
        InputError: the file cannot be used, or an item has none in it.
    """
    joined = items.select("item_id").join(
        read_vectors(path), on="item_id", how="left", maintain_order="left"
    )
    without = joined.filter(pl.col("vector").is_null())
    if without.height:
        raise InputError(
            f"{path} has no vector for {without.height} items, the first is "
            f"{without['item_id'][0]!r}; add them or leave the items out"
        )
    return joined["vector"].to_numpy()
