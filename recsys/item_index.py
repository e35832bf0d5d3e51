"""The best items for users among item vectors: retrieval for models that score items."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.inner_product_index import InnerProductIndex

__all__ = ["ItemIndex"]

BATCH = 64  # users searched at once


class ItemIndex:
    """Ranks items for users whose exclusions and bonuses differ.

    Attributes:
        vectors: the index of the items' vectors; items may be added to it.
    """

    def __init__(self, vectors: InnerProductIndex) -> None:
        self.vectors = vectors

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
        # Items with a bonus are scored apart, the others by FAISS.
        apart = [set(items).union(own) for items, own in zip(excluded, bonuses, strict=True)]
        # FAISS returns the same number of items for all users of one search, so users that need
        # similar numbers are searched together.
        order = sorted(range(len(users)), key=lambda row: len(apart[row]))
        found: list[list[tuple[int, float]]] = [[] for _ in users]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            items, scores = self.vectors.search(
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
                if with_bonus:
                    own = np.fromiter(with_bonus, np.int64, len(with_bonus))
                    products = (self.vectors.vectors(own) @ users[row]).tolist()
                    pairs += [
                        (item, product + bonuses[row][item])
                        for item, product in zip(own.tolist(), products, strict=True)
                    ]
                found[row] = sorted(pairs, key=lambda pair: -pair[1])[:k]
        return found
