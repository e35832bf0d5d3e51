"""The best items by inner product where an item's vector is the sum of its codes' vectors: exact.

A user's product with an item is then the sum of the user's products with the item's codes. A query
computes L × K products, and looks up and adds L of them for each item; no item's vector is kept.
This is the search of product quantization by a table of products (Jégou, Douze & Schmid, TPAMI
2011), without its error, since the sums are the items' vectors themselves.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

__all__ = ["CodeIndex"]

# Codewords a level up to which two levels are looked up as one: a table of 512² sums fits a cache.
PAIRED_UP_TO = 512
BLOCK = 64  # items whose highest score stands for all of them


class CodeIndex:
    """Items with codes, numbered from 0 in the order in which they are added."""

    def __init__(
        self, tables: NDArray[np.float32], bias: NDArray[np.float32], codes: NDArray[np.uint16]
    ) -> None:
        """Index items.

        Args:
            tables: (L, K, d) float32, the vectors of the codes of each level.
            bias: (d,) float32, which every item's vector contains.
            codes: (n, L).
        """
        self._tables, self._bias = tables, bias
        levels, size = tables.shape[:2]
        step = 2 if size <= PAIRED_UP_TO else 1
        self._groups = [range(first, min(first + step, levels)) for first in range(0, levels, step)]
        self._places = [np.zeros(0, dtype=np.intp) for _ in self._groups]
        self.add(codes)

    def __len__(self) -> int:
        return len(self._places[0])

    def add(self, codes: NDArray[np.uint16]) -> None:
        """Add items with codes (n, L); their numbers follow those in the index."""
        size = self._tables.shape[1]
        for number, group in enumerate(self._groups):
            place = np.zeros(len(codes), dtype=np.intp)
            for level in group:
                place = place * size + codes[:, level]
            self._places[number] = np.concatenate([self._places[number], place])

    def search(
        self,
        users: NDArray[np.float32],
        k: int,
        hidden: Collection[int] = (),
        allowed: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the k best items (B, k) for users (B, d), -1 where none is left, and products.

        Of equal products the item with the lower number comes first.

        Args:
            hidden: items that are left out.
            allowed: the only items that may be found; None for all.
        """
        left_out = np.fromiter(hidden, np.int64, len(hidden))
        kept = None if allowed is None else np.setdiff1d(allowed, left_out)
        width = min(k, len(self))
        items = np.full((len(users), width), -1, dtype=np.int64)
        scores = np.full((len(users), width), -np.inf, dtype=np.float32)
        for row, user in enumerate(np.asarray(users, dtype=np.float32)):
            found = self._scores(user, kept)
            if kept is None:
                found[left_out] = -np.inf
            places = _best(found, width)
            items[row, : len(places)] = places if kept is None else kept[places]
            scores[row, : len(places)] = found[places]
        return items, scores

    def _scores(
        self, user: NDArray[np.float32], kept: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        """Return the products of a user's vector (d,) with all items, or with `kept` ones.

        One thread: threads that wait for each other would cost more than they share.
        """
        products = self._tables @ user
        scores = np.full(len(self) if kept is None else len(kept), self._bias @ user)
        for group, places in zip(self._groups, self._places, strict=True):
            table = products[group[0]]
            for level in group[1:]:
                table = np.add.outer(table, products[level]).ravel()
            # All places are in the table, so that clipping only saves a check of each.
            scores += table.take(places if kept is None else places[kept], mode="clip")
        return scores


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Return the places of up to k highest scores above -inf, highest first.

    The k-th highest of the blocks' highest scores bounds the k-th highest score from below, so that
    few items have to be put in order.
    """
    floor = np.float32(-np.inf)
    blocks = len(scores) // BLOCK
    if blocks > k:
        highest = scores[: blocks * BLOCK].reshape(BLOCK, blocks).max(0)
        floor = np.partition(highest, blocks - k)[blocks - k]
    places = np.flatnonzero(scores >= floor)
    places = places[scores[places] > -np.inf]
    order: NDArray[np.int64] = places[np.argsort(-scores[places], kind="stable")[:k]]
    return order
