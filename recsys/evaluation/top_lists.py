"""The rank of each user's next item in the list that a recommender returns."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from recsys.data.dataset import NO_ITEM, HeldOutPart, SequenceDataset, Users
from recsys.evaluation.full_ranking import CANDIDATES, Candidates, Places, RankingQuality
from recsys.evaluation.metrics import CUTOFFS

__all__ = ["evaluate_lists"]


@torch.no_grad()
def evaluate_lists(
    recommend: Callable[[Users, Tensor, Tensor | None], Tensor],
    dataset: SequenceDataset,
    split: HeldOutPart,
    depth: int,
    history: int | None = None,
    batch_size: int = 64,
    coverage: Sequence[int] = CUTOFFS,
    device: torch.device | str = "cpu",
    users: Users | None = None,
) -> RankingQuality:
    """Rank every user's item of `split` by its place in a list of `depth` items.

    An item that is not in the list has an infinite rank, and all its metrics are 0.

    Args:
        recommend: maps user numbers (B,), histories (B, at most `history`) int64, oldest first,
            padded with -1 at the end, and the items to leave out (B, H) int64, padded with -1, or
            None, to items (B, depth) int64, best first, -1 after the last.
        history: how many of the last items `recommend` reads; all where None. The candidates
            `without_history` always leave out all earlier items of the user except the target.
        coverage: cutoffs; those beyond `depth` are left out.
        users: numbers of users; all where None.

    Raises:
        ValueError: `recommend` does not return one list of `depth` items a user.
    """
    everyone = np.arange(dataset.n_users) if users is None else users
    targets = dataset.targets(split)
    cutoffs = [k for k in coverage if k <= depth]
    places = {name: Places(dataset.n_items, cutoffs, device) for name in CANDIDATES}
    ranks: dict[Candidates, list[Tensor]] = {name: [] for name in CANDIDATES}
    for start in range(0, len(everyone), batch_size):
        part = everyone[start : start + batch_size]
        given = torch.from_numpy(dataset.histories(split, history, part)).to(device)
        before = torch.from_numpy(dataset.histories(split, None, part)).to(device)
        wanted = torch.from_numpy(targets[part]).to(device)[:, None]
        for name in CANDIDATES:
            excluded = None
            if name == "without_history":
                excluded = before.masked_fill(before == wanted, NO_ITEM)
            items = recommend(part, given, excluded)
            if items.shape != (len(part), depth):
                raise ValueError(
                    f"items {tuple(items.shape)} for {len(part)} lists of {depth} items"
                )
            found = items == wanted
            rank = (1.0 + found.int().argmax(1)).double()
            ranks[name].append(rank.masked_fill(~found.any(1), torch.inf).cpu())
            places[name].add(items)
    return RankingQuality(
        {name: torch.cat(parts).numpy() for name, parts in ranks.items()},
        {name: place.shares() for name, place in places.items()},
        depth,
    )
