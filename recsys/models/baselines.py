"""Baselines without training: popularity, co-occurrence, nearest by content."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.data.histories import newest_first

__all__ = [
    "BASELINES",
    "CODED_BASELINES",
    "CONTENT_BASELINES",
    "Baseline",
    "CoOccurrence",
    "NearestContent",
    "Popularity",
    "baseline",
]

CONTENT_BASELINES = ("nearest-content",)  # those that read content vectors
CODED_BASELINES = ("nearest-decoded",)  # those that read codes
BASELINES = ("popularity", "co-occurrence", *CONTENT_BASELINES, *CODED_BASELINES)
WEIGHTS = (1.0, 0.6, 0.4, 0.3, 0.2)  # of the last items, the newest first


class Baseline(Protocol):
    """Scores all items without training."""

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) scores for histories (B, T) int64, padded with -1."""


def baseline(name: str, dataset: SequenceDataset) -> Baseline:
    """Return a baseline by its name in `BASELINES`.

    Raises:
        InputError: the dataset lacks the vectors or codewords that it compares.
    """
    if name.startswith("nearest"):
        return NearestContent(dataset, decoded=name.endswith("decoded"))
    return Popularity(dataset) if name == "popularity" else CoOccurrence(dataset)


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


class NearestContent:
    """Scores an item by its cosine with the last five items of the history.

    The score is the largest of the five cosines, each times the weight of its place.

    Args:
        decoded: compare the sums of the items' codewords, in place of their content vectors.

    Raises:
        InputError: the dataset lacks the vectors or codewords.
    """

    def __init__(self, dataset: SequenceDataset, *, decoded: bool = False) -> None:
        vectors = dataset.decoded if decoded else dataset.vectors
        if vectors is None:
            lacks = "codewords; prepare it with --tokenizer" if decoded else "content vectors"
            raise InputError(f"the data has no {lacks}")
        self.vectors = functional.normalize(torch.from_numpy(vectors), dim=1)

    def scores(self, histories: Tensor) -> Tensor:
        """Return (B, n_items) float32 scores for histories (B, T) int64, padded with -1."""
        last = newest_first(histories, len(WEIGHTS))
        best = torch.full((len(histories), len(self.vectors)), -torch.inf)
        for items, weight in zip(last.T, WEIGHTS, strict=True):
            found = weight * (self.vectors[items.clamp(min=0)] @ self.vectors.T)
            best = torch.where((items != NO_ITEM)[:, None], torch.maximum(best, found), best)
        return best
