"""Search a table of IDs for the items nearest to an item, a text or a vector, without a service."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache
from data_prep.errors import InputError
from data_prep.tables import check_vectors
from tokenizer.index.exact_neighbours import candidates, cosines
from tokenizer.index.semantic_index import SemanticIndex
from tokenizer.pipeline import Pipeline

__all__ = ["ItemVectors", "latent_of_item", "nearest_items", "similar_items"]

Vector = NDArray[np.float32]


class ItemVectors:
    """The vectors of a catalogue's items: given ones, or those of their texts."""

    def __init__(
        self, items: pl.DataFrame, pipeline: Pipeline, cache: EmbeddingCache | None = None
    ) -> None:
        """Take a catalogue.

        Args:
            items: the Items table; a column `vector` takes precedence over the texts.
            cache: keeps the vectors of texts.

        Raises:
            InputError: a vector is not valid, or there are only texts and no text encoder.
        """
        self._pipeline, self._cache = pipeline, cache
        self._given: dict[str, Vector] | None = None
        self._texts: dict[str, str] = {}
        if "vector" in items.columns and items["vector"].null_count() < items.height:
            table = check_vectors(items.select("item_id", "vector").drop_nulls(), "the catalogue")
            vectors = table["vector"].to_numpy()
            pipeline.check(vectors, table["item_id"].to_list())
            self._given = dict(zip(table["item_id"].to_list(), vectors, strict=True))
        elif pipeline.encoder is None:
            raise InputError(
                "this tokenizer was fitted on vectors and has no text encoder; give vectors"
            )
        else:
            self._texts = pipeline.texts_of_some(items.iter_rows(named=True))

    def known(self) -> dict[str, Vector]:
        """Return the vectors (D,) that need no encoding, by item_id."""
        if self._given is not None or self._cache is None:
            return self._given or {}
        cached = self._pipeline.cached(list(self._texts.values()), self._cache)
        return {name: cached[text] for name, text in self._texts.items() if text in cached}

    def made(self, item_ids: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors (D,) of those of the items that have one; encode their texts."""
        if self._given is not None:
            return {name: self._given[name] for name in item_ids if name in self._given}
        texts = {name: self._texts[name] for name in item_ids if name in self._texts}
        vectors = self._pipeline.embed(list(texts.values()), self._cache)
        return dict(zip(texts, vectors, strict=True))


def similar_items(
    ids: pl.DataFrame,
    pipeline: Pipeline,
    *,
    item_id: str | None = None,
    text: str | None = None,
    vector: Vector | None = None,
    k: int = 10,
    own: ItemVectors | None = None,
) -> pl.DataFrame:
    """Find the items nearest to an item of the table, a text or a vector (D,).

    Args:
        ids: a table that `tokenizer.offline.id_table.check_ids` returned.
        item_id: the item whose neighbours are wanted; it is left out of the result.
        own: the items' vectors, which rank the neighbours; without them codes alone do.

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
    if text is not None:
        vector = pipeline.embed([text])[0]
    if item_id is not None:
        latent = latent_of_item(ids, pipeline, item_id)
        vector = None if own is None else own.made([item_id]).get(item_id)
        if vector is None:
            codes = ids.filter(pl.col("item_id") == item_id)["codes"].to_list()
            decoded = pipeline.vectors_of_codes(np.asarray(codes, np.uint16))[0]
            return nearest_items(ids, pipeline, latent, decoded, k, item_id, own)
    asked = np.asarray(vector, np.float32)
    return nearest_items(ids, pipeline, pipeline.latents(asked[None])[0], asked, k, item_id, own)


def nearest_items(
    ids: pl.DataFrame,
    pipeline: Pipeline,
    latent: Vector,
    vector: Vector,
    k: int,
    leave_out: str | None = None,
    own: ItemVectors | None = None,
) -> pl.DataFrame:
    """Find the items whose vectors are nearest to a vector, or whose codes are to its latent.

    Args:
        ids: a table that `tokenizer.offline.id_table.check_ids` returned.
        latent: (d,), as `Pipeline.latents` or `latent_of_item` makes it.
        vector: (D,), compared with the items' vectors.
        leave_out: item_id of an item to leave out.
        own: the items' vectors; None ranks by the distance of decoded latents.

    Returns:
        Up to k rows, nearest first: `item_id`, `semantic_id`; `cosine`, float32, with the item's
            vector; `exact`, whether that was its own vector, or else the one that its codes decode
            to; and `distance`, float32, the squared distance from the latent to the item's decoded
            latent.
    """
    index = SemanticIndex(pipeline.codebooks)
    codes = np.asarray(ids["codes"].to_list(), dtype=np.uint16).reshape(-1, pipeline.levels)
    index.add(np.arange(ids.height), codes)
    asked = candidates(k) if own is not None else k + (leave_out is not None)
    keys, distances = index.search(latent[None, :], min(asked, max(1, ids.height)))
    proposed = keys[0][keys[0] >= 0]
    vectors: dict[str, Vector] = {}
    rows, away = proposed, distances[0][: len(proposed)]
    if own is not None:
        # All items whose vectors are at hand are compared, others only if their codes are near.
        vectors = own.known()
        names = ids["item_id"].to_list()
        lacking = [names[row] for row in proposed.tolist() if names[row] not in vectors]
        vectors |= own.made(lacking)
        at_hand = [row for row, name in enumerate(names) if name in vectors]
        rows = np.union1d(proposed, np.asarray(at_hand, np.int64))
        decoded = pipeline.latents_of_codes(codes[rows])
        away = np.square(decoded - latent).sum(axis=1)
    near = ids.select("item_id", "semantic_id")[rows]
    compared = pipeline.vectors_of_codes(codes[rows])
    exact = np.asarray([item_id in vectors for item_id in near["item_id"]], np.bool_)
    for row in np.flatnonzero(exact).tolist():
        compared[row] = vectors[near["item_id"][row]]
    found: pl.DataFrame = near.with_columns(
        pl.Series("cosine", cosines(vector, compared)),
        pl.Series("exact", exact),
        pl.Series("distance", away),
    ).filter(pl.col("item_id").ne_missing(leave_out))
    if own is not None:
        found = found.sort("cosine", descending=True, maintain_order=True)
    return found.head(k)


def latent_of_item(ids: pl.DataFrame, pipeline: Pipeline, item_id: str) -> Vector:
    """Return the decoded latent (d,) of an item's codes.

    Raises:
        InputError: the table of IDs does not have the item.
    """
    codes = ids.filter(pl.col("item_id") == item_id)["codes"].to_list()
    if not codes:
        raise InputError(f"the table of IDs has no item {item_id!r}; tokenize it first")
    latent: Vector = pipeline.latents_of_codes(np.asarray(codes, np.uint16))[0]
    return latent
