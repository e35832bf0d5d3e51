"""The best items for users among item vectors: retrieval for models that score items."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.inner_product_index import EXACT_UP_TO, InnerProductIndex

__all__ = ["ItemIndex"]

BATCH = 64  # users searched at once


class ItemIndex:
    """Item vectors, numbered from 0 in the order in which they are added."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        sample: NDArray[np.float32] | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        """Index vectors (n, d); the arguments are those of `InnerProductIndex`."""
        self._index = InnerProductIndex(vectors, sample, exact_up_to)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def found(self) -> float:
        """Share of the exact search's first items that was found for the sample."""
        return self._index.found

    @property
    def probes(self) -> int:
        """Number of lists that a search reads; 0 for an exact search."""
        return self._index.probes

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Add vectors (n, d); their numbers follow those in the index."""
        self._index.add(vectors)

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
        among = None if candidates is None else set(candidates.tolist())
        # Items with a bonus are scored one by one, the others by FAISS.
        apart = [set(items).union(own) for items, own in zip(excluded, bonuses, strict=True)]
        # FAISS returns the same number of items for all users of one search, so users that need
        # similar numbers are searched together.
        order = sorted(range(len(users)), key=lambda row: len(apart[row]))
        found: list[list[tuple[int, float]]] = [[] for _ in users]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            items, scores = self._index.search(
                users[rows], k + len(apart[rows[-1]]), hidden, candidates
            )
            for row, *ranked in zip(rows, items.tolist(), scores.tolist(), strict=True):
                pairs = [
                    (item, score)
                    for item, score in zip(*ranked, strict=True)
                    if item >= 0 and item not in apart[row]
                ]
                with_bonus = set(bonuses[row]).difference(excluded[row], hidden)
                if among is not None:
                    with_bonus &= among
                pairs += [
                    (item, float(users[row] @ self._index.vector(item)) + bonuses[row][item])
                    for item in with_bonus
                ]
                found[row] = sorted(pairs, key=lambda pair: -pair[1])[:k]
        return found
