"""How alike the items of a group are, and which of them stands for it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["central", "coherence"]

Values = NDArray[np.floating]


def coherence(directions: Values) -> float | None:
    """Return the mean cosine of pairs of items; None for fewer than two.

    Args:
        directions: (n, D), each of length 1.
    """
    n = len(directions)
    if n < 2:
        return None
    total = np.square(directions.sum(axis=0, dtype=np.float64)).sum()
    return float((total - n) / (n * (n - 1)))


def central(points: Values) -> int:
    """Return the row of the point (n, d), n ≥ 1, that is nearest to the mean of all points."""
    away = np.square(points - points.mean(axis=0, dtype=np.float64)).sum(axis=1)
    return int(away.argmin())
