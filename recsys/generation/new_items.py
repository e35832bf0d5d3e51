"""New items beside those that a beam search found.

A generator seldom writes the ID of an item without a training event, for it never saw these codes
together. So new items have scores of their own: a number that they start from, and how near they
are to the history's last items. They stand among the found items by these scores. Both are fitted
on validation users when the training has ended, in two steps:

1. A softmax regression among new items under a normal prior gives the weights of the last places.
2. The start is the one with which most users of new items find theirs among ten, as long as
   Recall@10 over all users is no lower than without new items.

LIGER (Yang et al., arXiv 2411.18814) ranks new items beside generated ones too, with one dense
score for both.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.data.dataset import NO_ITEM
from recsys.data.histories import newest_first
from recsys.generation.beam_search import FoundItems
from recsys.models.calibration import CUTOFF
from recsys.models.most_probable import most_probable

__all__ = ["NewItems"]

PLACES = 10  # of a history that have a fitted weight
ITERATIONS = 20  # of L-BFGS
STARTS = tuple(step / 4 for step in range(-40, 41))  # around where new items reach the tenth place
AT_ONCE = 2**24  # scores


class NewItems(nn.Module):
    """Holds the fitted start and weights; at first no new item is added.

    Args:
        vectors: (n_items, D) float32, of length 1 or 0; their products are the nearness.
        new: (n_items,) bool, items without a training event.
        history: how many of the last items the generator reads.
        width: of the generator's vectors; weights are in units of its square root.
    """

    def __init__(self, vectors: Tensor, new: Tensor, history: int, width: int) -> None:
        super().__init__()
        self.unit = width**0.5
        self.weights = nn.Parameter(torch.zeros(min(PLACES, history)), requires_grad=False)
        self.start = nn.Parameter(torch.tensor(-torch.inf), requires_grad=False)
        self._keep(vectors, new)

    @property
    def new(self) -> Tensor:
        """Which items are new, (n_items,) bool."""
        return self.get_buffer("columns") >= 0

    def extend(self, vectors: Tensor) -> None:
        """Take the vectors (n_items, D) of all items; those after the known ones are new."""
        more = self.new.new_ones(len(vectors) - len(self.get_buffer("vectors")))
        self._keep(vectors, torch.cat([self.new, more]))

    def _keep(self, vectors: Tensor, new: Tensor) -> None:
        items = new.nonzero().squeeze(1)
        for name, each in (
            ("vectors", vectors),
            ("items", items),
            ("of_new", vectors[items]),
            ("columns", _columns(items, len(new))),
        ):
            self.register_buffer(name, each, persistent=False)

    def forward(
        self,
        histories: Tensor,
        found: FoundItems,
        excluded: Tensor | None = None,
        candidates: Tensor | None = None,
    ) -> FoundItems:
        """Return the found items with the nearest new ones among them, as many as were found.

        A history's own items are not added.

        Args:
            histories: (B, T) int64, oldest first, padded with -1 at the end.
            found: (B, n), best first; new items among them lose their places.
            excluded: (B, m) int64, items to leave out, padded with -1.
            candidates: (c,) int64, the only items that may be found; all where None.
        """
        items = self.get_buffer("items")
        if not len(items) or self.start.isneginf():
            return found
        scores = self.start + self._nearness(histories, self.get_buffer("of_new"))
        columns = self.get_buffer("columns")
        left_out = histories if excluded is None else torch.cat([histories, excluded], 1)
        scores = _without(scores, columns, left_out)
        if candidates is not None:
            scores = scores.masked_fill(~torch.isin(items, candidates), -torch.inf)
        best, places = scores.topk(min(found.items.shape[1], len(items)), dim=1)
        nearest = items[places].masked_fill(best.isneginf(), NO_ITEM)
        return _merged(_known(found, columns), FoundItems(nearest, best))

    @torch.no_grad()
    def fit(self, new: Tensor, histories: Tensor, found: FoundItems, targets: Tensor) -> None:
        """Fit start and weights; without a user of a new item nothing is fitted.

        Args:
            new: (n_items,) bool, the items that count as new.
            histories: (B, T) int64.
            found: (B, n) of these histories, best first; new items in it do not count.
            targets: (B,) int64, what the users took next.
        """
        items = new.nonzero().squeeze(1)
        columns, of_new = _columns(items, len(new)), self.get_buffer("vectors")[items]
        others = (histories != targets[:, None]).all(1)
        histories, targets = histories[others], targets[others]
        found = FoundItems(*(each[others] for each in found))
        took = columns[targets]
        users = (took >= 0).nonzero().squeeze(1)
        if not len(users):
            return

        def losses(weights: Tensor) -> Iterator[Tensor]:
            for part in _parts(users, len(items)):
                near = self._nearness(histories[part], of_new, weights)
                yield functional.cross_entropy(near, took[part], reduction="sum")

        self.weights.copy_(
            most_probable(losses, torch.zeros_like(self.weights), len(users), ITERATIONS)
        )
        tops, own, ahead = [], [], []
        for part in _parts(torch.arange(len(targets), device=new.device), len(items)):
            near = self._nearness(histories[part], of_new)
            near = _without(near, columns, histories[part])
            tops.append(near.topk(min(CUTOFF, len(items)), dim=1).values)
            own.append(near.gather(1, took[part].clamp(min=0)[:, None]))
            ahead.append((near > own[-1]).sum(1))
        self.start.copy_(
            _best_start(
                _known(found, columns),
                torch.cat(tops),
                torch.where(took >= 0, torch.cat(own).squeeze(1), -torch.inf),
                torch.cat(ahead),
                targets,
            )
        )

    def _nearness(self, histories: Tensor, of: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return how near items with these vectors are to the last items: (B, len(of))."""
        used = self.weights if weights is None else weights
        last = newest_first(histories, len(used))
        rows = functional.embedding(last.clamp(min=0), self.get_buffer("vectors"))
        mixed = torch.einsum("bp,bpd->bd", used * (last != NO_ITEM), rows)
        nearness: Tensor = self.unit * mixed @ of.T
        return nearness


def _parts(rows: Tensor, width: int) -> tuple[Tensor, ...]:
    return torch.split(rows, max(1, AT_ONCE // width))


def _columns(items: Tensor, count: int) -> Tensor:
    """Return each item's place among `items`, -1 where it has none: (count,) int64."""
    columns = torch.full((count,), NO_ITEM, device=items.device)
    columns[items] = torch.arange(len(items), device=items.device)
    return columns


def _without(scores: Tensor, columns: Tensor, items: Tensor) -> Tensor:
    """Return scores (B, n) with -inf at the columns of some items (B, m), of which -1 is none."""
    last = scores.shape[1]  # for items without a column
    places = columns[items].masked_fill(items < 0, NO_ITEM)
    closed = torch.zeros(len(scores), last + 1, dtype=torch.bool, device=scores.device)
    closed.scatter_(1, places.where(places >= 0, last), True)
    return scores.masked_fill(closed[:, :-1], -torch.inf)


def _known(found: FoundItems, columns: Tensor) -> FoundItems:
    """Return found items, the best first, without those that have a column."""
    gone = (found.items < 0) | (columns[found.items] >= 0)
    scores, order = found.scores.masked_fill(gone, -torch.inf).sort(
        dim=1, descending=True, stable=True
    )
    return FoundItems(found.items.masked_fill(gone, NO_ITEM).gather(1, order), scores)


def _merged(first: FoundItems, second: FoundItems) -> FoundItems:
    """Return as many items as `first` has, the best of both; of equals, those of `first`."""
    items, scores = (torch.cat(pair, 1) for pair in zip(first, second, strict=True))
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    count = first.items.shape[1]
    return FoundItems(items.gather(1, order)[:, :count], scores[:, :count])


def _best_start(
    known: FoundItems, tops: Tensor, own: Tensor, ahead: Tensor, targets: Tensor
) -> Tensor:
    """Return the start with most hits of new items, as long as all hits are no fewer without any.

    Args:
        known: (B, n), best first.
        tops: (B, t) nearness of the nearest new items, best first.
        own: (B,), the targets' own, -inf where they are known.
        ahead: (B,) int64, how many new items are nearer.
        targets: (B,) int64.
    """
    hit = known.items == targets[:, None]
    cutoff = min(CUTOFF, hit.shape[1])
    places = torch.where(hit.any(1), hit.int().argmax(1), cutoff)
    scores = known.scores.gather(1, places.clamp(max=cutoff - 1)[:, None])
    before = (places < cutoff).sum()
    last = known.scores[:, cutoff - 1]
    usual = (last - tops[:, 0])[last.isfinite() & tops[:, 0].isfinite()]
    best, most = usual.new_tensor(-torch.inf), 0
    for start in usual.mean() + usual.new_tensor(STARTS) if len(usual) else ():
        of_new = own.isfinite()
        of_new &= ahead + (known.scores > (own + start)[:, None]).sum(1) < cutoff
        kept = places + (tops + start > scores).sum(1) < cutoff
        count = int(of_new.sum())
        if count > most and count + (kept & ~own.isfinite()).sum() >= before:
            best, most = start, count
    return best
