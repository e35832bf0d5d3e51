"""Recommenders without learning: what is popular, and what is bought with what one has."""

import torch
from torch import Tensor

from recsys.data.dataset import NO_ITEM, SequenceDataset

__all__ = ["CoOccurrence", "Popularity"]


class Popularity:
    """Scores each item by its events in the training part, for every user alike."""

    def __init__(self, dataset: SequenceDataset) -> None:
        self.counts = torch.from_numpy(dataset.popularity).float()

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) float32 scores for histories (B, T) int64."""
        return self.counts.expand(len(histories), -1).clone()


class CoOccurrence:
    """Scores an item by the users that have it together with the items of the history.

    With u_ij users that have both i and j in training, and u_i that have i, item j gets
    Σ_{i in history, i ≠ j} u_ij / √(u_i u_j), the cosine of the items' columns in the matrix of
    users and items (Sarwar et al. 2001). The matrix of items × items is never made: two products
    with the sparse matrix of users and items give the sums. A copy of an item in the history counts
    once. Scores are rounded to 12 places, so that sums in another order tie.
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
        alike = torch.sparse.mm(self.by_user, has.T.contiguous())  # each user's, (n_users, B)
        together: Tensor = torch.sparse.mm(self.by_item, alike).T
        others = together - has * self.seen  # an item's cosine with itself is 1
        return others.round(decimals=12)
