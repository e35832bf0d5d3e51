"""FAISS over the item tower: exact up to a size, lists of near items beyond it.

A catalogue of a million items is too large to be read whole for each query. Items are then kept in
lists by k-means, and a query reads the nearest lists only: as many as find nearly all of what the
exact search finds for a sample of queries.
"""

from collections.abc import Collection

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_UP_TO", "SearchIndex"]

EXACT_UP_TO = 200_000  # items
FOUND = 0.99  # share of the exact search's first 100 that the lists must find
PROBES = (8, 16, 32, 64, 128, 256)
PER_LIST = 64  # vectors that train each list
DEPTH = 100


class SearchIndex:
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
                index is exact.
            exact_up_to: the most items that are searched one by one.
        """
        self.found, self.probes, self._lists = 1.0, 0, 0
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        exact = faiss.IndexFlatIP(vectors.shape[1])
        if sample is None or len(vectors) <= exact_up_to:
            exact.add(vectors)
            self._index: faiss.Index = exact
            return
        self._lists = lists = min(int(4 * len(vectors) ** 0.5), len(vectors) // PER_LIST)
        index = faiss.IndexIVFFlat(exact, vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        drawn = np.random.default_rng(0).choice(len(vectors), lists * PER_LIST, replace=False)
        index.cp.niter = 10
        index.train(vectors[np.sort(drawn)])
        index.add(vectors)
        self._index = index
        self._choose_probes(vectors, np.ascontiguousarray(sample, dtype=np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, d); their numbers follow those in the index."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

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
            allowed: the only items that may be found; None for all.
        """
        users = np.ascontiguousarray(users, dtype=np.float32)
        selector = self._selector(hidden, allowed)
        scores, items = self._index.search(
            users, min(k, len(self)), params=self._parameters(selector)
        )
        return np.asarray(items, dtype=np.int64), np.asarray(scores, dtype=np.float32)

    def _parameters(self, selector: faiss.IDSelector | None) -> faiss.SearchParameters | None:
        if self.probes:
            # A filter leaves few items in the near lists, so that more lists are read.
            probes = self.probes if selector is None else min(8 * self.probes, self._lists)
            return faiss.SearchParametersIVF(nprobe=probes, sel=selector)  # type: ignore[call-arg]
        return None if selector is None else faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]

    def _selector(
        self, hidden: Collection[int], allowed: NDArray[np.int64] | None
    ) -> faiss.IDSelector | None:
        if allowed is not None:
            kept = np.setdiff1d(allowed, np.fromiter(hidden, np.int64, len(hidden)))
            return faiss.IDSelectorBatch(kept)
        if hidden:
            left_out = faiss.IDSelectorBatch(np.fromiter(hidden, np.int64, len(hidden)))
            self._kept_alive = left_out  # the negation holds no reference to it
            return faiss.IDSelectorNot(left_out)
        return None

    def _choose_probes(self, vectors: NDArray[np.float32], sample: NDArray[np.float32]) -> None:
        exact = faiss.IndexFlatIP(vectors.shape[1])
        exact.add(vectors)
        depth = min(DEPTH, len(vectors))
        _, wanted = exact.search(sample, depth)
        for probes in PROBES:
            self.probes = probes
            _, got = self._index.search(
                sample,
                depth,
                params=faiss.SearchParametersIVF(nprobe=probes),  # type: ignore[call-arg]
            )
            pairs = zip(wanted, got, strict=True)
            self.found = float(np.mean([np.isin(a, b).mean() for a, b in pairs]))
            if self.found >= FOUND:
                return
