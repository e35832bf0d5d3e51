"""The rank of each user's next item among all items of the catalogue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.data.dataset import NO_ITEM, HeldOutPart, SequenceDataset, Users
from recsys.data.histories import distinct_items
from recsys.evaluation.metrics import CUTOFFS, means, per_user

__all__ = [
    "CANDIDATES",
    "Candidates",
    "Places",
    "RankingQuality",
    "Ties",
    "evaluate",
    "target_ranks",
]

Candidates = Literal["all", "without_history"]
CANDIDATES: tuple[Candidates, ...] = ("all", "without_history")
Ties = Literal["behind", "averaged"]


@dataclass(frozen=True, eq=False)
class RankingQuality:
    """The rank of each user's next item, by candidate set.

    The candidates are all items (`all`), or all except the user's history (`without_history`).

    Attributes:
        ranks: (users,) float64 for each set, from 1, in the order of the evaluated users.
        coverage: for each set, by `coverage@k`, the share of the catalogue that is in the first k
            places of at least one user; empty if it was not measured.
        depth: length of the ranked lists; an item beyond has an infinite rank. None: all items.
    """

    ranks: dict[Candidates, NDArray[np.float64]]
    coverage: dict[Candidates, dict[str, float]]
    depth: int | None = None

    def per_user(self, candidates: Candidates = "all") -> dict[str, NDArray[np.float64]]:
        """Return the metrics of every user, as `recsys.evaluation.metrics.per_user`.

        Metrics that need more than `depth` places are left out: larger cutoffs, and `mrr`.
        """
        ranks = self.ranks[candidates]
        if self.depth is None:
            return per_user(ranks)
        metrics = per_user(ranks, [k for k in CUTOFFS if k <= self.depth])
        del metrics["mrr"]
        return metrics

    def of(self, users: NDArray[np.bool_]) -> Self:
        """Return the ranks of some users, without coverage.

        Args:
            users: (users,) bool, the users to keep.
        """
        ranks = {name: found[users] for name, found in self.ranks.items()}
        return type(self)(ranks, {name: {} for name in CANDIDATES}, self.depth)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Join the ranks of disjoint sets of users, without coverage."""
        ranks = {name: np.concatenate([part.ranks[name] for part in parts]) for name in CANDIDATES}
        return cls(ranks, {name: {} for name in CANDIDATES}, parts[0].depth)

    def metrics(self, candidates: Candidates = "all") -> dict[str, float]:
        """Return each metric's mean over all users, and the coverage."""
        return {**means(self.per_user(candidates)), **self.coverage[candidates]}


def target_ranks(
    scores: Tensor, targets: Tensor, histories: Tensor, ties: Ties = "behind"
) -> dict[Candidates, Tensor]:
    """Return the rank of each target in each candidate set.

    Ranks count items, not codes: items with the same codes have the same score, and are ties. A
    target is never left out, even if the history contains it.

    Args:
        scores: (B, n_items), higher is better.
        targets: (B,) int64.
        histories: (B, H) int64 item numbers, in any order, padded with -1.
        ties: `behind` ranks the target behind all items with its score, so that a constant score
            gains nothing; `averaged` ranks it behind half of them.

    Returns:
        (B,) float64 for each set, from 1.

    Raises:
        FloatingPointError: a score is not a number.
    """
    if scores.sum().isnan() and scores.isnan().any():
        raise FloatingPointError("a score is not a number; no ranks can be told")
    own = targets[:, None]
    reference = scores.gather(1, own)
    weight = 1.0 if ties == "behind" else 0.5
    ahead = _ahead(scores, reference, weight) - weight  # the target ties with itself
    left_out, first = distinct_items(histories)
    counted = first & (left_out != own)
    ahead_in_history = _ahead(scores.gather(1, left_out.clamp(min=0)), reference, weight, counted)
    return {"all": 1 + ahead, "without_history": 1 + ahead - ahead_in_history}


def _ahead(
    scores: Tensor, reference: Tensor, weight: float, counted: Tensor | None = None
) -> Tensor:
    """Count the scores (B, N) above a reference (B, 1), and ties by weight: (B,) float64.

    Args:
        counted: (B, N) bool, the scores to count; all where None.
    """
    above, tied = scores > reference, scores == reference
    if counted is not None:
        above, tied = above & counted, tied & counted
    number, ties = (found.sum(1, dtype=torch.int32).double() for found in (above, tied))
    return number + weight * ties


@torch.no_grad()
def evaluate(
    scorer: Callable[[Tensor], Tensor],
    dataset: SequenceDataset,
    split: HeldOutPart,
    history: int | None = None,
    batch_size: int = 256,
    ties: Ties = "behind",
    coverage: Sequence[int] = CUTOFFS,
    device: torch.device | str = "cpu",
    users: Users | None = None,
) -> RankingQuality:
    """Rank every user's item of `split` among all items, under both candidate sets.

    Args:
        scorer: histories (B, at most `history`) int64, oldest first, padded with -1 at the end →
            scores (B, n_items).
        history: how many of the last items the scorer reads; all where None. The candidates
            `without_history` always leave out all earlier items of the user.
        coverage: cutoffs; none saves the sorting.
        users: numbers of users; all where None.

    Raises:
        FloatingPointError: a score is not a number.
        ValueError: there is not one score an item.
    """
    targets = dataset.targets(split)
    everyone = np.arange(dataset.n_users) if users is None else users
    ranks: dict[Candidates, list[Tensor]] = {name: [] for name in CANDIDATES}
    places = {name: Places(dataset.n_items, coverage, device) for name in CANDIDATES}
    for start in range(0, len(everyone), batch_size):
        part = everyone[start : start + batch_size]
        given = torch.from_numpy(dataset.histories(split, history, part))
        before = torch.from_numpy(dataset.histories(split, None, part)).to(device)
        wanted = torch.from_numpy(targets[part]).to(device)
        scores = scorer(given.to(device))
        if scores.shape != (len(before), dataset.n_items):
            raise ValueError(
                f"scores {tuple(scores.shape)} for {len(before)} users and {dataset.n_items} items"
            )
        for name, found in target_ranks(scores, wanted, before, ties).items():
            ranks[name].append(found.cpu())
        if coverage:
            places["all"].add_scores(scores)
            places["without_history"].add_scores(_without_history(scores, wanted, before))
    return RankingQuality(
        {name: torch.cat(parts).numpy() for name, parts in ranks.items()},
        {name: place.shares() for name, place in places.items()},
    )


def _without_history(scores: Tensor, targets: Tensor, histories: Tensor) -> Tensor:
    """Return scores (B, n_items) with -inf for the items of the history, except the target."""
    own = targets[:, None]
    # Padding stands for the target here; the target's score is restored afterwards.
    left_out = torch.where(histories == NO_ITEM, own, histories)
    return scores.scatter(1, left_out, -torch.inf).scatter(1, own, scores.gather(1, own))


class Places:
    """The items that were in the first k places of any user, for each cutoff k."""

    def __init__(self, n_items: int, cutoffs: Sequence[int], device: torch.device | str) -> None:
        self.cutoffs = cutoffs
        self.seen = torch.zeros(len(cutoffs), n_items, dtype=torch.bool, device=device)

    def add_scores(self, scores: Tensor) -> None:
        """Count the first places of scores (B, n_items)."""
        self.add(scores.topk(min(max(self.cutoffs), scores.shape[1]), dim=1).indices)

    def add(self, items: Tensor) -> None:
        """Count the first places of items (B, at least the largest cutoff, or all), best first.

        -1 stands for no item.
        """
        for row, k in enumerate(self.cutoffs):
            first = items[:, :k].flatten()
            self.seen[row, first[first >= 0]] = True

    def shares(self) -> dict[str, float]:
        """Return the share of the catalogue, by `coverage@k`."""
        shares = self.seen.double().mean(1).tolist()
        return {f"coverage@{k}": share for k, share in zip(self.cutoffs, shares, strict=True)}
