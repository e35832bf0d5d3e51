"""Ranking metrics of one target a user, from the target's rank alone.

With a single relevant item, recall@k is the hit rate, and the ideal DCG is 1, so that NDCG@k is
1 / log2(1 + rank) within the first k places and 0 behind (Järvelin & Kekäläinen 2002).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CUTOFFS", "means", "per_user"]

CUTOFFS = (5, 10, 20, 50, 100)


def per_user(
    ranks: NDArray[np.floating] | NDArray[np.integer], cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, NDArray[np.float64]]:
    """Return `recall@k` and `ndcg@k` for each cutoff, and `mrr`, of every user.

    Args:
        ranks: (n,), from 1; a half where ties are averaged, which counts as behind the place
            before it.

    Returns:
        Arrays (n,) float64 by name; `mrr` is the reciprocal rank without a cutoff.

    Raises:
        ValueError: no ranks, or one below 1 or not a number.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    if not ranks.size:
        raise ValueError("no ranks; at least one user is needed")
    if not (ranks >= 1).all():
        raise ValueError(f"a rank of {ranks[~(ranks >= 1)][0]}; ranks count from 1")
    gain = 1 / np.log2(1 + ranks)
    metrics = {f"recall@{k}": (ranks <= k).astype(np.float64) for k in cutoffs}
    metrics |= {f"ndcg@{k}": np.where(ranks <= k, gain, 0.0) for k in cutoffs}
    return {**metrics, "mrr": 1 / ranks}


def means(metrics: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Average each metric over the users."""
    return {name: float(values.mean()) for name, values in metrics.items()}
