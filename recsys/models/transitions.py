"""What users took after an item, counted in the training events, with learnt weights.

The transition score of item c is Σ_t w_t F[x_t, c] over the last items of the history, t = 1 the
newest. F[a, c] counts how often c came after a: each pair of a user's events counts 1/√distance,
and the sum is divided by √((n_a + 5)(n_c + 5)), where n are numbers of events. An item keeps the
followers with the highest F. A sequence model learns transitions too, but slowly where events are
few; factorized Markov chains (Rendle et al., WWW 2010) rest on them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recsys.data.dataset import NO_ITEM, SequenceDataset
from recsys.models.repeats import Repeats

__all__ = ["PLACES", "Transitions"]

PLACES = 10  # of a history that have a fitted weight
DISTANCE = 20  # events between which a pair counts
FOLLOWERS = 64  # kept of each item
MORE = 5  # events added to each item's number, so that rare pairs count little


class Transitions(nn.Module):
    """Holds each item's followers and the weights of places, zero at first.

    Weights are in units of √width: the scale of products of vectors of that width.

    Args:
        places: how many of the last items count.
        width: of the vectors whose products transitions are added to.
    """

    def __init__(self, dataset: SequenceDataset, places: int, width: int) -> None:
        super().__init__()
        self.unit = width**0.5
        self.weights = nn.Parameter(torch.zeros(places), requires_grad=False)
        followers, shares = _counted(dataset)
        self.register_buffer("followers", torch.from_numpy(followers))
        self.register_buffer("shares", torch.from_numpy(shares))

    def after(self, items: Tensor, new: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the followers of items, and their F times √width.

        An item with fewer followers has F = 0 at the rest, and so has padding everywhere.

        Args:
            items: int64 of any shape, padded with -1; the results have one more axis, `FOLLOWERS`.
            new: (n_items,) bool, items that are taken as if nobody had them yet.
        """
        known = items.clamp(min=0)
        followers = self.get_buffer("followers")[known].long()
        shares = functional.embedding(known, self.get_buffer("shares"))
        shares = shares * (items != NO_ITEM)[..., None] * self.unit
        if new is not None:
            shares = shares * ~(new[followers] | new[known][..., None])
        return followers, shares

    def of_histories(self, histories: Tensor) -> Repeats:
        """Return what is added to scores for the last items of histories, the newest first.

        Args:
            histories: (B, places) int64, padded with -1.
        """
        followers, shares = self.after(histories)
        return Repeats(followers.flatten(1), (shares * self.weights[:, None]).flatten(1))

    @torch.no_grad()
    def extend(self, count: int) -> None:
        """Add items that nobody took yet."""
        for name in ("followers", "shares"):
            own = self.get_buffer(name)
            setattr(self, name, torch.cat([own, own.new_zeros(count, own.shape[1])]))


def _counted(dataset: SequenceDataset) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return each item's followers and their F, (n_items, FOLLOWERS), the highest first."""
    count = dataset.n_items
    users, taken = dataset.training_events()
    keys, values = [], []
    for distance in range(1, DISTANCE + 1):
        same = users[distance:] == users[:-distance]
        pairs = taken[:-distance][same].astype(np.int64) * count + taken[distance:][same]
        distinct, often = np.unique(pairs, return_counts=True)
        keys.append(distinct)
        values.append(often / distance**0.5)
    pairs, place = np.unique(np.concatenate(keys), return_inverse=True)
    items, after = np.divmod(pairs, count)
    events = (dataset.popularity + MORE) ** 0.5
    summed = np.bincount(place, np.concatenate(values), len(pairs)) / (
        events[items] * events[after]
    )
    order = np.lexsort((after, -summed, items))
    items, after, summed = items[order], after[order], summed[order]
    column = np.arange(len(items)) - np.searchsorted(items, items)
    kept = column < FOLLOWERS
    followers = np.zeros((count, FOLLOWERS), np.int32)
    shares = np.zeros((count, FOLLOWERS), np.float32)
    followers[items[kept], column[kept]] = after[kept]
    shares[items[kept], column[kept]] = summed[kept]
    return followers, shares
