"""FAISS's inner-product index over item vectors: retrieval for the dual encoder."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["ItemIndex"]

TOGETHER = 64  # users of a search


class ItemIndex:
    """Items by number; those added later are numbered on."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Index vectors (n, d)."""
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self.add(vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add items with vectors (n, d)."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(
        self,
        users: NDArray[np.float32],
        k: int,
        excluded: Sequence[Collection[int]],
        added: Sequence[Mapping[int, float]] = (),
        hidden: Collection[int] = (),
    ) -> list[list[tuple[int, float]]]:
        """Return each user's k items of the highest score, best first, with it.

        Args:
            users: (B, d).
            excluded: for each user, item numbers that are not to be among them.
            added: for each user, what is added to items' inner products to make their scores;
                nothing for the other items.
            hidden: item numbers that are not to be among anybody's.
        """
        users = np.ascontiguousarray(users, dtype=np.float32)
        more = added or [{}] * len(users)
        apart = [set(items).union(own) for items, own in zip(excluded, more, strict=True)]
        # FAISS finds as many for all users of a search: those with like numbers are asked together.
        order = sorted(range(len(users)), key=lambda row: len(apart[row]))
        found: list[list[tuple[int, float]]] = [[] for _ in users]
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            nearest = self._nearest(users[rows], k + len(apart[rows[-1]]), hidden)
            for row, ranked in zip(rows, nearest, strict=True):
                others = [pair for pair in ranked if pair[0] not in apart[row]]
                again = set(more[row]).difference(excluded[row], hidden)
                others += [
                    (item, float(users[row] @ self._index.reconstruct(item)) + more[row][item])
                    for item in again
                ]
                found[row] = sorted(others, key=lambda pair: -pair[1])[:k]
        return found

    def _nearest(
        self, users: NDArray[np.float32], most: int, hidden: Collection[int]
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield each user's items of the highest inner product, best first, with it."""
        params = None
        if hidden:
            left_out = faiss.IDSelectorBatch(np.fromiter(hidden, np.int64))
            params = faiss.SearchParameters(
                sel=faiss.IDSelectorNot(left_out)  # type: ignore[call-arg]  # added in Python
            )
        scores, items = self._index.search(users, min(most, len(self)), params=params)
        for row, values in zip(items.tolist(), scores.tolist(), strict=True):
            yield [(item, score) for item, score in zip(row, values, strict=True) if item >= 0]
