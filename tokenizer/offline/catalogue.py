"""Semantic IDs for a whole catalogue, offline, in one pass over its rows."""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache
from data_prep.progress import Progress
from data_prep.tables import check_vectors, join_vectors
from tokenizer.config import CATALOGUE_BATCH
from tokenizer.ids.policy import TakenCodes
from tokenizer.ids.semantic_id import assign_suffixes, codes_key, format_semantic_id
from tokenizer.offline.id_table import SEMANTIC_IDS
from tokenizer.pipeline import Pipeline, Tokenized

__all__ = ["tokenize_catalogue"]


def tokenize_catalogue(
    items: pl.DataFrame,
    pipeline: Pipeline,
    known: pl.DataFrame | None = None,
    vectors: pl.DataFrame | None = None,
    batch_size: int = CATALOGUE_BATCH,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Give every item of a catalogue its semantic ID.

    Args:
        items: the Items table.
        known: a table of IDs by the same tokenizer. Its rows come first in the result, unchanged,
            and new items get IDs that are still free.
        vectors: the items' own vectors; they replace texts and the column `vector`.
        batch_size: items in memory at once; the codes do not depend on it.
        cache: keeps the vectors of texts.
        progress: called with the number of items done.

    Returns:
        A table with the schema `tokenizer.offline.id_table.SEMANTIC_IDS`: known IDs, then new ones
            in row order.

    Raises:
        InputError: an item has no text or vector, or a vector that cannot be tokenized; or no codes
            are free.
    """
    known = pl.DataFrame(schema=SEMANTIC_IDS) if known is None else known
    if "vector" in items.columns:
        vectors = _own_vectors(items) if vectors is None else vectors
        items = items.drop("vector")
    if vectors is not None:
        items = join_vectors(items, vectors)
    new = items.join(known.select("item_id"), on="item_id", how="anti", maintain_order="left")
    if progress is not None:
        progress(items.height - new.height)
    batches = [(batch, _texts(batch, pipeline)) for batch in _batches(new, batch_size)]
    finish = _policy(known, pipeline)
    parts = [known]
    for batch, texts in batches:
        tokenized, suffixes = finish(_tokenize(batch, texts, pipeline, cache, progress))
        rows = zip(tokenized.codes.tolist(), suffixes.tolist(), strict=True)
        parts.append(
            pl.DataFrame(
                {
                    "item_id": batch["item_id"],
                    "codes": tokenized.codes.tolist(),
                    "suffix": suffixes,
                    "semantic_id": [format_semantic_id(codes, suffix) for codes, suffix in rows],
                    "distortion": tokenized.distortion,
                    "tokenizer": [pipeline.fingerprint] * batch.height,
                },
                schema=SEMANTIC_IDS,
            )
        )
    return pl.concat(parts)


def _own_vectors(items: pl.DataFrame) -> pl.DataFrame | None:
    """Return the catalogue's vectors, None if it has none; vectors take precedence over texts."""
    if items["vector"].null_count() == items.height:
        return None
    return check_vectors(items.select("item_id", "vector"), "the catalogue")


def _batches(items: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    return items.iter_slices(size) if items.height else iter(())


def _texts(batch: pl.DataFrame, pipeline: Pipeline) -> pl.Series | None:
    """Check a batch before any work; return its texts, or None if it has vectors."""
    if "vector" in batch.columns:
        pipeline.check(batch["vector"].to_numpy(), batch["item_id"].to_list())
        return None
    return pl.Series(pipeline.texts(batch.iter_rows(named=True)), dtype=pl.String())


def _tokenize(
    batch: pl.DataFrame,
    texts: pl.Series | None,
    pipeline: Pipeline,
    cache: EmbeddingCache | None,
    progress: Progress | None,
) -> Tokenized:
    if texts is not None:
        return pipeline.tokenize(pipeline.embed(texts.to_list(), cache, progress))
    tokenized = pipeline.tokenize(batch["vector"].to_numpy(), checked=True)
    if progress is not None:
        progress(batch.height)
    return tokenized


def _policy(
    known: pl.DataFrame, pipeline: Pipeline
) -> Callable[[Tokenized], tuple[Tokenized, NDArray[np.uint32]]]:
    """Return a function that resolves equal codes, batch after batch, by the tokenizer's policy."""
    codes = np.asarray(known["codes"].to_list(), dtype=np.uint16).reshape(-1, pipeline.levels)
    keys = codes_key(codes)
    if pipeline.config.policy == "reassign":
        taken = TakenCodes(keys)

        def reassign(part: Tokenized) -> tuple[Tokenized, NDArray[np.uint32]]:
            return pipeline.reassign(part, taken), np.zeros(len(part.codes), dtype=np.uint32)

        return reassign
    following: dict[bytes, int] = {}
    for key, suffix in zip(keys, known["suffix"].to_list(), strict=True):
        following[key] = max(following.get(key, 0), suffix + 1)
    return lambda part: (part, assign_suffixes(part.codes, following))
