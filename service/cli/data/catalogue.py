"""Functions that several commands share: read a catalogue, make its vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache, default_cache_folder, embed
from data_prep.embedding.encoders import FITTED, Encoder, encoder_for
from data_prep.embedding.model_settings import ModelSettings
from data_prep.text import TextTemplate
from service.cli.terminal.console import bar, working

__all__ = [
    "encoded_items",
    "encoder_of",
    "open_cache",
    "template_of",
    "vectors_of_texts",
]


def open_cache(folder: Path | None) -> EmbeddingCache:
    """Open the cache of vectors in `folder`, by default in the user's cache folder."""
    return EmbeddingCache(folder or default_cache_folder())


def encoder_of(
    name: str,
    texts: Sequence[str],
    device: str = "cpu",
    settings: ModelSettings | None = None,
) -> Encoder:
    """Return the encoder of a name; `ngrams` and `words` are fitted to the texts.

    Raises:
        InputError: the encoder cannot be loaded or fitted.
    """
    if name not in FITTED:
        return encoder_for(name, texts, device, settings)
    with working(f"fitting {name} to {len(texts):,} texts"):
        return encoder_for(name, texts, device, settings)


def vectors_of_texts(
    texts: Sequence[str], encoder: Encoder, cache: Path | None, threads: int | None = None
) -> NDArray[np.float32]:
    """Return the vectors (n, D) of texts, with a progress bar."""
    with open_cache(cache) as kept, bar(f"embedding with {encoder.name}", len(texts)) as progress:
        return embed(texts, encoder, kept, progress, threads)


def encoded_items(
    items: pl.DataFrame,
    template: TextTemplate,
    name: str,
    cache: Path | None,
    device: str = "cpu",
    threads: int | None = None,
    settings: ModelSettings | None = None,
) -> tuple[Encoder, NDArray[np.float32]]:
    """Return an encoder and its vectors (n, D) of the items' texts, with a progress bar.

    Raises:
        InputError: an item has no text, or the encoder cannot be loaded or fitted.
    """
    texts = template.render_all(items.iter_rows(named=True))
    encoder = encoder_of(name, texts, device, settings)
    return encoder, vectors_of_texts(texts, encoder, cache, threads)


def template_of(fields: Sequence[str], items: pl.DataFrame) -> TextTemplate:
    """Return the template of the fields, as `data_prep.text.TextTemplate.of`."""
    return TextTemplate.of(fields, items.columns)
