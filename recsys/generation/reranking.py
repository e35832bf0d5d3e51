"""Items that a beam search found, in an order that also counts transitions and repeats.

A generator learns from few events what users take right after an item. Counts tell it better
(`recsys.models.transitions`), but only of whole items, and a beam is a prefix until its last code.
So they are added to the log-probabilities of the items that were found. How much they count, and a
number for the history's own items, are fitted on validation users when the training has ended.
Then new items are put among them (`recsys.generation.new_items`).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.data.histories import newest_first
from recsys.generation.beam_search import FoundItems
from recsys.generation.new_items import NewItems
from recsys.models.calibration import CUTOFF, LEAST_SCALE, stand_ins
from recsys.models.most_probable import most_probable
from recsys.models.transitions import PLACES, Transitions

__all__ = ["Reranker"]

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
ITERATIONS = 20  # of L-BFGS


class Reranker(nn.Module):
    """Holds transitions and the fitted weights, zero at first.

    Args:
        history: how many of the last items the generator reads.
        width: of the generator's vectors.
        vectors: (n_items, D) float32, whose products are the nearness; without them no new items
            are added.
    """

    def __init__(
        self, dataset: SequenceDataset, history: int, width: int, vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.transitions = Transitions(dataset, min(PLACES, history), width)
        self.own = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.new_items: NewItems | None = None
        if vectors is not None:
            new = torch.from_numpy(dataset.popularity == 0)
            self.new_items = NewItems(vectors, new, history, width)

    def forward(
        self,
        histories: Tensor,
        found: FoundItems,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
    ) -> FoundItems:
        """Return the items in their new order; scores are no longer log-probabilities.

        Args:
            histories: (B, T) int64, oldest first, padded with -1 at the end.
            excluded: (B, m) int64, new items to leave out, padded with -1.
            candidates: (c,) int64, the only new items that may be added; all where None.
        """
        ranked: FoundItems = self._ranked(histories, found)
        if self.new_items is not None:
            ranked = self.new_items(histories, ranked, excluded, candidates)
        return ranked

    @torch.no_grad()
    def fit(self, histories: Tensor, found: FoundItems, targets: Tensor) -> None:
        """Fit what transitions and the history's own items count, then new items.

        Args:
            histories: (B, T) int64.
            found: of these histories.
            targets: (B,) int64, what the users took next.
        """
        self._fit_ranks(histories, found, targets)
        if self.new_items is not None:
            new = self.new_items.new
            new = new | stand_ins(new, targets)
            self.new_items.fit(new, histories, self._ranked(histories, found), targets)

    def _ranked(self, histories: Tensor, found: FoundItems) -> FoundItems:
        weights = torch.cat([self.transitions.weights, self.own[None]])
        scores = found.scores + self._features(histories, found.items) @ weights
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        return FoundItems(found.items.gather(1, order), scores)

    def _fit_ranks(self, histories: Tensor, found: FoundItems, targets: Tensor) -> None:
        """Fit the weights on users whose next item was found; others do not count.

        A softmax regression under a normal prior gives the weights. A good probability is not yet
        a good rank, so that transitions get one more factor, by the highest NDCG@10.
        """
        hit = found.items == targets[:, None]
        counted = hit.any(1)
        if not counted.any():
            return
        logs, places = found.scores[counted], hit[counted].int().argmax(1)
        features = self._features(histories[counted], found.items[counted])
        fitted = _most_probable(logs, features, places)
        after, own = features[..., :-1] @ fitted[:-1], features[..., -1] * fitted[-1]
        gains = [_gain(logs + factor * after + own, places) for factor in FACTORS]
        best = FACTORS[int(torch.stack(gains).argmax())]
        self.transitions.weights.copy_(best * fitted[:-1])
        self.own.copy_(fitted[-1])

    def extend(self, count: int, vectors: Tensor | None = None) -> None:
        """Add items that nobody took yet.

        Args:
            vectors: (n_items, D), of all items, where new items are added to lists.
        """
        self.transitions.extend(count)
        if self.new_items is not None and vectors is not None:
            self.new_items.extend(vectors)

    def _features(self, histories: Tensor, items: Tensor) -> Tensor:
        """Return (B, n, places + 1): what follows each last item, and which are the history's own.

        Args:
            items: (B, n) int64, padded with -1.
        """
        last = newest_first(histories, len(self.transitions.weights))
        followers, shares = self.transitions.after(last)
        columns = [
            torch.einsum("bfn,bf->bn", (own[..., None] == items[:, None]).float(), share)
            for own, share in zip(followers.unbind(1), shares.unbind(1), strict=True)
        ]
        known = (items[..., None] == histories[:, None]).any(2)
        return torch.stack([*columns, known.float()], 2)


def _most_probable(logs: Tensor, features: Tensor, places: Tensor) -> Tensor:
    """Return the weights (f,) that make the targets most probable, where log-probabilities count 1.

    Args:
        logs: (B, n), -inf where no item is.
        features: (B, n, f).
        places: (B,) int64, the targets' columns.
    """
    prior = torch.zeros(features.shape[2] + 1, device=logs.device)
    prior[-1] = 1.0  # what the log-probabilities count
    missing = logs.isneginf()
    given = logs.masked_fill(missing, 0)

    def losses(numbers: Tensor) -> Iterator[Tensor]:
        scores = (numbers[-1] * given + features @ numbers[:-1]).masked_fill(missing, -torch.inf)
        yield functional.cross_entropy(scores, places, reduction="sum")

    found = most_probable(losses, prior, len(logs), ITERATIONS)
    return found[:-1] / found[-1].clamp(min=LEAST_SCALE)


def _gain(scores: Tensor, places: Tensor) -> Tensor:
    """Return the mean NDCG@10 of the items in these columns."""
    ranks = (scores > scores.gather(1, places[:, None])).sum(1)
    return ((ranks < CUTOFF) / torch.log2(ranks + 2.0)).mean()
