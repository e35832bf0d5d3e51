"""Functions that several commands share: read a catalogue, make its vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.embedding.encoders import Encoder
from data_prep.text import TextTemplate
from service.cli.terminal.console import bar

__all__ = ["open_cache", "template_of", "vectors_of_texts"]


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


def template_of(fields: Sequence[str], items: pl.DataFrame) -> TextTemplate:
    """Return the template of the fields, as `data_prep.text.TextTemplate.of`."""
    return TextTemplate.of(fields, items.columns)
