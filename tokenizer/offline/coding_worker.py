"""Codes of one piece of a catalogue: what every process of a streamed run does."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.embedding.batch_invariance import computing_threads, usable_threads
from data_prep.embedding.embed import EmbeddingCache
from data_prep.parts.items import ItemParts, Piece
from tokenizer.pipeline import Pipeline

__all__ = ["Coder", "CoderOptions"]

Batch = tuple[pl.Series, NDArray[np.float32]]  # item ids and vectors (n, D)


@dataclass(frozen=True)
class CoderOptions:
    """What a worker needs to begin; it can be pickled and makes a `Coder` when it is called.

    Attributes:
        tokenizer: folder of the tokenizer.
        cache: folder that keeps the vectors of texts; None to keep none.
        batch_size: items in memory at once; the codes do not depend on it.
        latents: whether the codes come with the latents, which the policy reassign needs.
    """

    catalogue: ItemParts
    tokenizer: Path
    device: str
    cache: Path | None
    batch_size: int
    latents: bool = False

    def __call__(self) -> "Coder":
        """Load the tokenizer and return the worker."""
        return Coder(self, Pipeline.load(self.tokenizer, self.device))


class Coder:
    """Tokenizes pieces of a catalogue."""

    def __init__(self, options: CoderOptions, pipeline: Pipeline) -> None:
        self._options, self._pipeline = options, pipeline

    def __call__(self, piece: Piece) -> pl.DataFrame:
        """Return `item_id`, `codes`, `distortion`, and `latent` if asked, of the wanted rows.

        Raises:
            InputError: an item has no text or vector, or one that cannot be tokenized.
        """
        threads = usable_threads() if self._options.device == "cpu" else 1
        return pl.concat(_side_by_side(self._coded, self._vectors(piece), threads))

    def vectors(self, piece: Piece) -> NDArray[np.float32]:
        """Return the vectors (n, D) of the wanted rows of a piece."""
        return np.concatenate([vectors for _, vectors in self._vectors(piece)])

    def _coded(self, batch: Batch) -> pl.DataFrame:
        ids, vectors = batch
        self._pipeline.check(vectors, ids.to_list())
        found = self._pipeline.tokenize(vectors, checked=True)
        levels, width = found.codes.shape[1], found.latents.shape[1]
        columns = [
            ids,
            pl.Series("codes", found.codes, dtype=pl.Array(pl.UInt16, levels)),
            pl.Series("distortion", found.distortion),
        ]
        if self._options.latents:
            kept = pl.Array(pl.Float32, width)
            columns.append(pl.Series("latent", found.latents, dtype=kept))
        return pl.DataFrame(columns)

    def _vectors(self, piece: Piece) -> Iterator[Batch]:
        catalogue, size = self._options.catalogue, self._options.batch_size
        if catalogue.has_vectors():
            for batch in catalogue.with_vectors(piece, size):
                yield batch["item_id"], batch["vector"].to_numpy()
            return
        fields = self._pipeline.config.text.fields
        folder = self._options.cache
        with nullcontext() if folder is None else EmbeddingCache(folder) as cache:
            for batch in catalogue.with_texts(piece, size, fields):
                texts = self._pipeline.texts(batch.iter_rows(named=True))
                yield batch["item_id"], self._pipeline.embed(texts, cache)


def _side_by_side(
    work: Callable[[Batch], pl.DataFrame], batches: Iterator[Batch], threads: int
) -> list[pl.DataFrame]:
    """Return what `work` makes of each batch, in order; each thread works on a batch of its own.

    Threads that share one matrix product wait for each other, and long so on a busy machine.
    """
    if threads == 1:
        return list(map(work, batches))
    with computing_threads(threads, "semid-code") as pool:
        running: deque[Future[pl.DataFrame]] = deque()
        done: list[pl.DataFrame] = []
        for batch in batches:
            if len(running) > threads:  # so that few batches are in memory
                done.append(running.popleft().result())
            running.append(pool.submit(work, batch))
        return [*done, *(each.result() for each in running)]
