"""Baselines without training: popularity and co-occurrence."""

import torch
from torch import Tensor

from recsys.data.dataset import NO_ITEM, SequenceDataset

__all__ = ["CoOccurrence", "Popularity"]


class Popularity:
    """Scores each item by its number of training events, equally for all users."""

    def __init__(self, dataset: SequenceDataset) -> None:
        self.counts = torch.from_numpy(dataset.popularity).float()

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) float32 scores for histories (B, T) int64."""
        return self.counts.expand(len(histories), -1).clone()


class CoOccurrence:
    """Scores an item by its cosine similarity with the items of the history.

    Item j scores Σ_{i in history, i ≠ j} u_ij / √(u_i u_j), where u_ij users have both i and j in
    training, and u_i users have i (Sarwar et al. 2001). An item that occurs twice in a history
    counts once. Two products with the sparse matrix of users × items give the sums, so that the
    matrix of items × items is never made. Scores are rounded to 12 places, so that equal sums tie
    whatever their order.
    """

    def __init__(self, dataset: SequenceDataset) -> None:
        events = [torch.from_numpy(part).long() for part in dataset.training_events()]
        pairs = torch.unique(torch.stack(events), dim=1)
        shape = (dataset.n_users, dataset.n_items)
        counts = torch.bincount(pairs[1], minlength=dataset.n_items).double()
        self.scale = counts.clamp(min=1).rsqrt()
        self.seen = (counts > 0).double()
        owned = torch.sparse_coo_tensor(pairs, self.scale[pairs[1]], shape, check_invariants=True)
        self.by_user = owned.coalesce()
        self.by_item = owned.T.coalesce()

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) float64 scores for histories (B, T) int64, padded with -1."""
        present = histories != NO_ITEM
        chosen = torch.zeros(len(histories), len(self.scale) + 1, dtype=torch.float64)
        chosen.scatter_(1, torch.where(present, histories, len(self.scale)), 1.0)
        has = chosen[:, :-1]
        overlaps = torch.sparse.mm(self.by_user, has.T.contiguous())  # (n_users, B)
        sums: Tensor = torch.sparse.mm(self.by_item, overlaps).T
        without_self = sums - has * self.seen  # an item's cosine with itself is 1
        return without_self.round(decimals=12)
