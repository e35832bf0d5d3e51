"""Functions that several commands share: read a catalogue, make its vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.embedding.encoders import Encoder
from data_prep.readers.catalogue import read_vectors
from data_prep.tables import join_vectors
from data_prep.text import TextTemplate
from service.cli.terminal.console import bar
from tokenizer.model.vector_checks import check_finite

__all__ = ["open_cache", "template_of", "vectors_of_items", "vectors_of_texts"]


def open_cache(folder: Path | None) -> EmbeddingCache:
    """Open the cache of vectors in `folder`, by default in the user's cache folder."""
    return EmbeddingCache(folder or default_cache_folder())


def vectors_of_texts(
    items: pl.DataFrame,
    template: TextTemplate,
    encoder: Encoder,
    cache: Path | None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the vectors (n, D) of the items' texts, with a progress bar.

    Raises:
        InputError: an item has no text.
    """
    texts = template.render_all(items.iter_rows(named=True))
    with open_cache(cache) as kept, bar(f"embedding with {encoder.name}", len(texts)) as progress:
        return embed(texts, encoder, kept, progress, threads)


def vectors_of_items(items: pl.DataFrame, path: Path) -> NDArray[np.float32]:
    """Return the items' vectors (n, D) from the file at `path`.

    Raises:
        InputError: the file cannot be used, or an item has no vector in it, or a vector that is not
            finite or is all zero.
    """
    joined = join_vectors(items, read_vectors(path))
    vectors: NDArray[np.float32] = joined["vector"].to_numpy()
    check_finite(vectors, joined["item_id"].to_list())
    return vectors


def template_of(fields: Sequence[str], items: pl.DataFrame) -> TextTemplate:
    """Return the template of the fields, as `data_prep.text.TextTemplate.of`."""
    return TextTemplate.of(fields, items.columns)
