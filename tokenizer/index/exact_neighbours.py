"""Exact neighbours: codes propose items, and the cosines of their vectors rank them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["candidates", "cosines", "overlap"]

# By codes alone a few of the nearest ten items are found; among so many candidates nearly all are.
LEAST, FACTOR = 1000, 20


def candidates(k: int) -> int:
    """Return how many items the codes propose for k exact neighbours."""
    return max(LEAST, FACTOR * k)


def cosines(query: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosines (n,) between a vector (D,) and vectors (n, D), none of them zero."""
    wide = query.astype(np.float64)
    towards = (wide / np.linalg.norm(wide)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    return np.asarray(np.clip(vectors @ towards / lengths, -1, 1), np.float32)


def overlap(found: Sequence[int], exact: Sequence[int]) -> float:
    """Return the share of the exact neighbours, at least one, that were found."""
    return len(set(found) & set(exact)) / len(exact)
