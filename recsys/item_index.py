"""FAISS's inner-product index over item vectors: retrieval for the dual encoder."""

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["ItemIndex"]


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
        self, users: NDArray[np.float32], k: int, excluded: Sequence[Sequence[int]]
    ) -> list[list[tuple[int, float]]]:
        """Return each user's k items of the highest inner product, best first, with it.

        Args:
            users: (B, d).
            excluded: for each user, item numbers that are not to be among them.
        """
        most = k + max(len(set(items)) for items in excluded)
        scores, items = self._index.search(
            np.ascontiguousarray(users, dtype=np.float32), min(most, len(self))
        )
        return [
            [
                (item, score)
                for item, score in zip(row, values, strict=True)
                if item >= 0 and item not in left_out
            ][:k]
            for row, values, left_out in zip(
                items.tolist(), scores.tolist(), map(set, excluded), strict=True
            )
        ]
