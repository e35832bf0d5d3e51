"""FAISS over item vectors: exact up to a size, lists of near items beyond it.

A catalogue of a million items is too large to be read whole for each query. Items are then kept in
lists by k-means, and a query reads the nearest lists only: as many as find nearly all of what the
exact search finds for a sample of queries.
"""

from collections.abc import Collection, Iterator

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_UP_TO", "InnerProductIndex"]

EXACT_UP_TO = 200_000  # items
FOUND = 0.99  # share of the exact search's first 100 that the lists must find
FEWEST = 8  # lists
PER_LIST = 64  # vectors that train each list
ROUNDS = 10  # of k-means
DEPTH = 100
DEEPER = 8  # so many times as many lists are read at most because items are hidden


class InnerProductIndex:
    """Item vectors, numbered from 0 in the order in which they are added.

    Attributes:
        found: share of the exact search's first items that the index found for the sample; 1 if it
            searches all items.
        probes: lists that a query reads; 0 if it searches all items.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        sample: NDArray[np.float32] | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        """Index vectors (n, d).

        Args:
            sample: (m, d), users' vectors that choose how many lists are read; without them the
                index is exact. It is also exact if a quarter of the lists is not enough.
            exact_up_to: the most items that are searched one by one.
        """
        self.found, self.probes, self._lists = 1.0, 0, 0
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if sample is not None and len(vectors) > exact_up_to:
            index = _in_lists(vectors)
            self.found, self.probes = _enough(
                index, vectors, np.ascontiguousarray(sample, dtype=np.float32)
            )
            if self.probes:
                self._index: faiss.Index = index
                self._lists = int(index.nlist)
                return
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, d); their numbers follow those in the index."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def vectors(self, items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (n, d) of items (n,)."""
        return np.asarray(self._index.reconstruct_batch(items), dtype=np.float32)

    def search(
        self,
        users: NDArray[np.float32],
        k: int,
        hidden: Collection[int] = (),
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the k best items (B, k) for users (B, d), -1 where none is left, and products.

        Args:
            hidden: items that are left out.
            allowed: the only items that may be found; None for all. The search among them is exact.
        """
        users = np.ascontiguousarray(users, dtype=np.float32)
        selector: faiss.IDSelector | None = None
        left_out = faiss.IDSelectorBatch(np.fromiter(hidden, np.int64, len(hidden)))
        if allowed is not None:
            kept = np.setdiff1d(allowed, np.fromiter(hidden, np.int64, len(hidden)))
            selector, probes = faiss.IDSelectorBatch(kept), self._lists
        else:
            # Hidden items may be the nearest ones, and lists were measured for the first `DEPTH`.
            depth = k + min(len(hidden), (DEEPER - 1) * DEPTH)
            probes = min(-(-depth // DEPTH) * self.probes, self._lists)
            if len(hidden):
                selector = faiss.IDSelectorNot(left_out)  # holds no reference to left_out
        scores, items = self._index.search(
            users, min(k, len(self)), params=_parameters(probes, selector)
        )
        return np.asarray(items, dtype=np.int64), np.asarray(scores, dtype=np.float32)


def _in_lists(vectors: NDArray[np.float32]) -> faiss.IndexIVFFlat:
    lists = max(1, min(int(4 * len(vectors) ** 0.5), len(vectors) // PER_LIST))
    dimension = vectors.shape[1]
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
    )
    drawn = np.random.default_rng(0).choice(len(vectors), lists * PER_LIST, replace=False)
    index.cp.niter = ROUNDS
    index.train(vectors[np.sort(drawn)])
    index.make_direct_map()  # finds an item's vector
    index.add(vectors)
    return index


def _enough(
    index: faiss.IndexIVFFlat, vectors: NDArray[np.float32], sample: NDArray[np.float32]
) -> tuple[float, int]:
    """Return the share that is found for a sample, and the least number of lists; 1 and 0 if none.

    An exhaustive search is about as quick as reading more than a quarter of the lists.
    """
    depth = min(DEPTH, len(vectors))
    _, wanted = faiss.knn(sample, vectors, depth, faiss.METRIC_INNER_PRODUCT)
    for probes in _doubled(FEWEST, index.nlist // 4):
        _, got = index.search(sample, depth, params=_parameters(probes, None))
        pairs = zip(wanted, got, strict=True)
        found = float(np.mean([np.isin(a, b).mean() for a, b in pairs]))
        if found >= FOUND:
            return found, probes
    return 1.0, 0


def _doubled(number: int, most: int) -> Iterator[int]:
    while number <= most:
        yield number
        number *= 2


def _parameters(probes: int, selector: faiss.IDSelector | None) -> faiss.SearchParameters | None:
    if probes:
        return faiss.SearchParametersIVF(nprobe=probes, sel=selector)  # type: ignore[call-arg]
    return None if selector is None else faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
