"""Items that a beam search found, in an order that also counts transitions and repeats.

A generator learns from few events what users take right after an item. Counts tell it better
(`recsys.models.transitions`), but only of whole items, and a beam is a prefix until its last code.
So they are added to the log-probabilities of the items that were found. How much they count, and a
number for the history's own items, are fitted on validation users when the training has ended.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.data.histories import newest_first
from recsys.generation.beam_search import FoundItems
from recsys.models.calibration import CUTOFF, LEAST_SCALE
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
    """

    def __init__(self, dataset: SequenceDataset, history: int, width: int) -> None:
        super().__init__()
        self.transitions = Transitions(dataset, min(PLACES, history), width)
        self.own = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, histories: Tensor, found: FoundItems) -> FoundItems:
        """Return the items in their new order; scores are no longer log-probabilities.

        Args:
            histories: (B, T) int64, oldest first, padded with -1 at the end.
        """
        weights = torch.cat([self.transitions.weights, self.own[None]])
        scores = found.scores + self._features(histories, found.items) @ weights
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        return FoundItems(found.items.gather(1, order), scores)

    @torch.no_grad()
    def fit(self, histories: Tensor, found: FoundItems, targets: Tensor) -> None:
        """Fit the weights on users whose next item was found; others do not count.

        A softmax regression under a normal prior gives the weights. A good probability is not yet
        a good rank, so that transitions get one more factor, by the highest NDCG@10.

        Args:
            histories: (B, T) int64.
            found: of these histories.
            targets: (B,) int64, what the users took next.
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

    def extend(self, count: int) -> None:
        """Add items that nobody took yet."""
        self.transitions.extend(count)

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
