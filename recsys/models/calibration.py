"""How much nearness and transitions count in a trained model, fitted on validation users.

Training steps cannot tell. The model knows the events that it trains on, and for these it has
little use for nearness and transitions. So both are fitted when the training has ended:

1. A softmax regression under a normal prior gives the weights of the last places, and for new
   items a factor of their nearness and a number that their scores start from.
2. A good probability is not yet a good rank. So nearness and transitions each get one more factor,
   by the highest NDCG@10 of the users who took a trained item.
3. Last, the start of new items is set. It is the one with which most users of new items find theirs
   among ten, as long as Recall@10 over all users is no lower than without nearness and transitions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recsys.data.dataset import NO_ITEM, SequenceDataset, Users
from recsys.models.most_probable import most_probable

__all__ = [
    "CUTOFF",
    "LEAST_SCALE",
    "Calibration",
    "HeldOut",
    "calibrated",
    "stand_ins",
    "users_to_fit",
]

AT_ONCE = 3 * 2**20  # scores
# Users of the fit: as many as have this many scores in all, but no fewer and no more than these.
IN_ALL, FEWEST, MOST = 10**8, 1000, 8000
# With fewer users of new items than this, this share of the other items stands for new ones.
FEW_NEW, STAND_IN = 50, 0.1
LEAST_SCALE = 0.1  # what the model's own scores count at least
ITERATIONS = 12  # of L-BFGS
FACTORS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5)
STARTS = tuple(step / 8 for step in range(-8, 33))  # added to the fitted start
CUTOFF = 10
VERY_LOW = -1e9  # the score of an item that is no candidate


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a trained model says of its users, and what they took next.

    Attributes:
        users: (B, d) float32; products with `items` are the scores without the rest.
        items: (n_items, d) float32.
        near: (n_items, D) float32, vectors of length 1 or 0 whose products are the nearness.
        last: (B, T) int64, the last items of each history, the newest first, padded with -1.
        followers: (B, T, F) int64, items with a transition from each of the last ones.
        shares: (B, T, F) float32, how much each transition counts.
        histories: (B, H) int64, items that are no candidates.
        targets: (B,) int64.
        new: (n_items,) bool, items without a training event, or taken as such.
    """

    users: Tensor
    items: Tensor
    near: Tensor
    last: Tensor
    followers: Tensor
    shares: Tensor
    histories: Tensor
    targets: Tensor
    new: Tensor

    def of(self, rows: Tensor) -> "HeldOut":
        """Return some users alone: numbers of rows, or (B,) bool."""
        names = ("users", "last", "followers", "shares", "histories", "targets")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def blocks(self) -> "Iterator[HeldOut]":
        """Yield the users in parts with not too many scores."""
        rows = torch.arange(len(self.targets), device=self.targets.device)
        for part in torch.split(rows, max(AT_ONCE // len(self.items), 1)):
            yield self.of(part)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is added to scores: Σ_t nearness[t] · nearness to, and transitions[t] · F from, item t.

    Attributes:
        nearness: (T,) float32.
        transitions: (T,) float32.
        factor: what new items' nearness is multiplied by.
        start: added to new items' scores.
    """

    nearness: Tensor
    transitions: Tensor
    factor: float
    start: float


class _Mix(NamedTuple):
    """Factors of fitted nearness, for trained and new items, and of transitions; a start."""

    nearness: float
    of_new: float
    transitions: float
    start: float


def users_to_fit(dataset: SequenceDataset) -> Users:
    """Return the numbers of the users that the fit reads, the same for every model, ascending."""
    most = min(max(IN_ALL // dataset.n_items, FEWEST), MOST)
    return np.sort(np.random.default_rng(0).permutation(dataset.n_users)[:most])


def stand_ins(new: Tensor, targets: Tensor) -> Tensor:
    """Return which items stand for new ones in a fit, (n_items,) bool; none if there are enough.

    Args:
        new: (n_items,) bool, items without a training event.
        targets: (B,) int64, what the users of the fit took.
    """
    if int(new[targets].sum()) >= FEW_NEW:
        return torch.zeros_like(new)
    drawn = torch.from_numpy(np.random.default_rng(0).random(len(new)) < STAND_IN)
    return drawn.to(new.device) & ~new


def calibrated(held_out: HeldOut) -> Calibration:
    """Return the weights with which held-out items rank best; see the module.

    Users whose target is in their history do not count; without other users nothing is added.
    """
    held_out = held_out.of((held_out.histories != held_out.targets[:, None]).all(1))
    if not len(held_out.targets):
        nothing = held_out.users.new_zeros(held_out.last.shape[1])
        return Calibration(nothing, nothing, 1.0, 0.0)
    fitted = _most_probable(held_out)
    known = ~held_out.new[held_out.targets]
    factors = [*product(FACTORS, FACTORS)]
    ranks = _ranks(held_out, fitted, [_Mix(one, 0.0, two, -torch.inf) for one, two in factors])
    gains = ((ranks < CUTOFF) / torch.log2(ranks + 2.0))[:, known].sum(1)
    near, after = factors[int(gains.argmax())]
    mixes = [_Mix(near, fitted.factor, after, fitted.start + more) for more in (0.0, *STARTS)]
    hits = _ranks(held_out, fitted, [_Mix(0.0, 0.0, 0.0, 0.0), *mixes]) < CUTOFF
    all_, of_new = hits.sum(1)[1:], (hits & ~known).sum(1)[1:]
    allowed = of_new.where(all_ >= hits[0].sum(), -1)
    chosen = mixes[int(allowed.argmax())]  # the lowest of equals, or the fitted one
    return Calibration(
        near * fitted.nearness, after * fitted.transitions, chosen.of_new / near, chosen.start
    )


def _most_probable(held_out: HeldOut) -> Calibration:
    """Return what makes the targets most probable, in units of the scores."""
    places = held_out.last.shape[1]
    sizes = [places, places, 1, 1, 1]
    prior = torch.zeros(sum(sizes), device=held_out.users.device)
    prior[-3], prior[-1] = 1.0, 1.0  # new items' factor, and what the model's own scores count

    def losses(numbers: Tensor) -> Iterator[Tensor]:
        for block in held_out.blocks():
            near, after, factor, start, scale = torch.split(numbers, sizes)
            own, nearness, transitions = _parts(block, near, after)
            scores = scale * own + nearness * torch.where(block.new, factor, 1.0)
            scores = _among_candidates(block, scores + transitions + start * block.new)
            yield functional.cross_entropy(scores, block.targets, reduction="sum")

    found = most_probable(losses, prior, len(held_out.targets), ITERATIONS)
    near, after, factor, start, scale = torch.split(found, sizes)
    scale = scale.clamp(min=LEAST_SCALE)
    return Calibration(near / scale, after / scale, float(factor), float(start / scale))


@torch.no_grad()
def _ranks(held_out: HeldOut, fitted: Calibration, mixes: Sequence[_Mix]) -> Tensor:
    """Return how many candidates are before each target, for each mix: (mixes, B) int64."""
    ranks = []
    for block in held_out.blocks():
        own, nearness, transitions = _parts(block, fitted.nearness, fitted.transitions)
        ahead = []
        for mix in mixes:
            factors = torch.where(block.new, mix.of_new, mix.nearness)
            starts = torch.where(block.new, mix.start, 0.0)
            scores = own + factors * nearness + mix.transitions * transitions + starts
            scores = _among_candidates(block, scores)
            ahead.append((scores > scores.gather(1, block.targets[:, None])).sum(1))
        ranks.append(torch.stack(ahead))
    return torch.cat(ranks, 1)


def _parts(held_out: HeldOut, near: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the model's own scores, nearness and transitions, each (B, n_items)."""
    own = held_out.users @ held_out.items.T
    vectors = functional.embedding(held_out.last.clamp(min=0), held_out.near)
    weights = near * (held_out.last != NO_ITEM)
    nearness = torch.einsum("bt,btd->bd", weights, vectors) @ held_out.near.T
    added = (held_out.shares * after[:, None]).flatten(1)
    return own, nearness, torch.zeros_like(own).scatter_add(1, held_out.followers.flatten(1), added)


def _among_candidates(held_out: HeldOut, scores: Tensor) -> Tensor:
    return scores.scatter(1, held_out.histories, VERY_LOW)
