"""FAISS's inner-product index over item vectors: retrieval for models that score items."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["ItemIndex"]

BATCH = 64  # users searched at once


class ItemIndex:
    """Item vectors, numbered from 0 in the order in which they are added."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        """Index vectors (n, d)."""
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self.add(vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, d); their numbers follow those in the index."""
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def search(
        self,
        users: NDArray[np.float32],
        k: int,
        excluded: Sequence[Collection[int]],
        bonuses: Sequence[Mapping[int, float]] = (),
        hidden: Collection[int] = (),
        candidates: NDArray[np.int64] | None = None,
    ) -> list[list[tuple[int, float]]]:
        """Return each user's k best items with their scores, best first.

        A score is the inner product plus the user's bonus for the item.

        Args:
            users: (B, d) float32.
            excluded: for each user, the item numbers to leave out.
            bonuses: for each user, bonuses by item number; other items have none.
            hidden: item numbers to leave out for every user.
            candidates: (n,), the only item numbers that may be found; all where None.
        """
        users = np.ascontiguousarray(users, dtype=np.float32)
        bonuses = bonuses or [{}] * len(users)
        among = None if candidates is None else set(candidates.tolist()).difference(hidden)
        params = _selection(hidden, among)
        # Items with a bonus are scored one by one, the others by FAISS.
        apart = [set(items).union(own) for items, own in zip(excluded, bonuses, strict=True)]
        # FAISS returns the same number of items for all users of one search, so users that need
        # similar numbers are searched together.
        order = sorted(range(len(users)), key=lambda row: len(apart[row]))
        found: list[list[tuple[int, float]]] = [[] for _ in users]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            nearest = self._nearest(users[rows], k + len(apart[rows[-1]]), params)
            for row, ranked in zip(rows, nearest, strict=True):
                pairs = [pair for pair in ranked if pair[0] not in apart[row]]
                with_bonus = set(bonuses[row]).difference(excluded[row], hidden)
                if among is not None:
                    with_bonus &= among
                pairs += [
                    (item, float(users[row] @ self._index.reconstruct(item)) + bonuses[row][item])
                    for item in with_bonus
                ]
                found[row] = sorted(pairs, key=lambda pair: -pair[1])[:k]
        return found

    def _nearest(
        self, users: NDArray[np.float32], count: int, params: Any
    ) -> Iterator[list[tuple[int, float]]]:
        """Yield each user's `count` items of the highest inner product, best first, with it."""
        scores, items = self._index.search(users, min(count, len(self)), params=params)
        for row, values in zip(items.tolist(), scores.tolist(), strict=True):
            yield [(item, score) for item, score in zip(row, values, strict=True) if item >= 0]


def _selection(hidden: Collection[int], among: Collection[int] | None) -> Any:
    """Return FAISS's parameters of a search that keeps to some items; None for all."""
    if among is not None:
        chosen = faiss.IDSelectorBatch(np.fromiter(among, np.int64, len(among)))
        return faiss.SearchParameters(sel=chosen)  # type: ignore[call-arg]  # added in Python
    if not hidden:
        return None
    left_out = faiss.IDSelectorBatch(np.fromiter(hidden, np.int64, len(hidden)))
    return faiss.SearchParameters(
        sel=faiss.IDSelectorNot(left_out)  # type: ignore[call-arg]  # added in Python
    )
