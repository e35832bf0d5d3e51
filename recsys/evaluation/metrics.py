"""Ranking metrics for users with one target each, from the target's rank.

With a single relevant item, recall@k is the hit rate. The ideal DCG is 1, so that NDCG@k is
1 / log2(1 + rank) for ranks up to k, and 0 for others (Järvelin & Kekäläinen 2002).
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
        ranks: (n,), from 1. Averaged ties can give halves: rank 10.5 is beyond cutoff 10.

    Returns:
        Arrays (n,) float64 by name; `mrr` is the reciprocal rank, without a cutoff.

    Raises:
        ValueError: there are no ranks, or one is below 1 or not a number.
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
