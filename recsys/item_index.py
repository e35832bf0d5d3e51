"""FAISS's inner-product index over item vectors: retrieval for the dual encoder."""

from collections.abc import Mapping, Sequence

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
        self,
        users: NDArray[np.float32],
        k: int,
        excluded: Sequence[Sequence[int]],
        added: Sequence[Mapping[int, float]] = (),
    ) -> list[list[tuple[int, float]]]:
        """Return each user's k items of the highest score, best first, with it.

        Args:
            users: (B, d).
            excluded: for each user, item numbers that are not to be among them.
            added: for each user, what is added to items' inner products to make their scores;
                nothing for the other items.
        """
        users = np.ascontiguousarray(users, dtype=np.float32)
        more = list(added) or [{} for _ in users]
        apart = [set(items).union(own) for items, own in zip(excluded, more, strict=True)]
        scores, items = self._index.search(users, min(k + max(map(len, apart)), len(self)))
        found = []
        for user, row, values, left_out, own, set_apart in zip(
            users, items.tolist(), scores.tolist(), excluded, more, apart, strict=True
        ):
            ranked = [
                (item, score)
                for item, score in zip(row, values, strict=True)
                if item >= 0 and item not in set_apart
            ]
            ranked += [
                (item, float(user @ self._index.reconstruct(item)) + own[item])
                for item in set(own).difference(left_out)
            ]
            found.append(sorted(ranked, key=lambda pair: -pair[1])[:k])
        return found
