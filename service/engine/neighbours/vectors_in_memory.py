"""The kept vectors of a tokenizer's items in memory, searched whole, while they are few."""

import logging
import threading

import faiss
import numpy as np
from numpy.typing import NDArray

from service.registry import Changes
from service.registry.vectors import VectorStore

__all__ = ["MOST_BYTES", "VectorsInMemory"]

MOST_BYTES = 256 * 2**20  # of float16 vectors: 349,525 of 384 numbers
logger = logging.getLogger("semid")


class VectorsInMemory:
    """A FAISS index of float16 directions, by item number; it follows the registry's changes.

    Beyond `MOST_BYTES` it lets the vectors go: what codes propose is then ranked from the database.
    """

    def __init__(self, store: VectorStore, dimension: int) -> None:
        self._store, self._dimension = store, dimension
        self._most = MOST_BYTES // (2 * dimension)
        self._lock = threading.Lock()
        self._index: faiss.IndexIDMap | None = None
        self._numbers: set[int] = set()
        self._loaded = False
        self._until = 0  # number of the last change before the vectors were loaded

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def whole(self) -> bool:
        """Whether every kept vector is in memory."""
        return self._index is not None

    def load(self) -> None:
        """Read all kept vectors, once.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer; the next call tries again.
        """
        if self._loaded:
            return
        self._until = self._store.newest_change()
        with self._lock:
            self._start()
        if self._store.count() > self._most:
            self._let_go()
        else:
            for numbers, directions in self._store.scan():
                self._add(numbers, directions)
        self._loaded = True

    def take(self, changes: Changes, *, first: bool) -> None:
        """Take in changes of the registry, after `load`.

        Args:
            first: whether they come from the beginning, so that `load` has read their vectors.
        """
        if self._index is None:
            return
        here = changes.numbers[~changes.removed].tolist()
        gone = [number for number in changes.numbers.tolist() if number in self._numbers]
        if first:
            gone = changes.numbers[changes.removed].tolist()
            # A vector that is kept later makes a later change, so only those are looked up.
            new = [] if changes.newest <= self._until else here
            here = [number for number in new if number not in self._numbers]
        self._remove([number for number in gone if number in self._numbers])
        if here:
            self._add(*self._store.directions(here))

    def search(
        self, query: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the numbers (m,) and cosines (m,) of the k nearest items, or of all if fewer.

        Args:
            query: (D,), not zero.
        """
        wide = query.astype(np.float64)
        towards = (wide / np.linalg.norm(wide)).astype(np.float32)[None, :]
        with self._lock:
            if self._index is None or not self._numbers:
                return np.empty(0, np.int64), np.empty(0, np.float32)
            near, numbers = self._index.search(towards, min(k, len(self._numbers)))
        return numbers[0], np.clip(near[0], -1, 1)

    def has(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which items' vectors are here, (n,)."""
        return np.asarray([number in self._numbers for number in numbers.tolist()], np.bool_)

    def _start(self) -> None:
        kind, metric = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        self._flat = faiss.IndexScalarQuantizer(self._dimension, kind, metric)
        self._index = faiss.IndexIDMap(self._flat)
        self._numbers = set()

    def _add(self, numbers: NDArray[np.int64], directions: NDArray[np.float32]) -> None:
        if not len(numbers):
            return
        with self._lock:
            if self._index is None:
                return
            self._index.add_with_ids(directions, numbers)
            self._numbers.update(numbers.tolist())
        if len(self._numbers) > self._most:
            self._let_go()

    def _remove(self, numbers: list[int]) -> None:
        if numbers:
            with self._lock:
                if self._index is not None:
                    chosen = faiss.IDSelectorBatch(np.asarray(numbers, np.int64))
                    self._index.remove_ids(chosen)
                    self._numbers.difference_update(numbers)

    def _let_go(self) -> None:
        with self._lock:
            self._index, self._numbers = None, set()
        logger.info("more than %s vectors: what codes propose is ranked", f"{self._most:,}")
