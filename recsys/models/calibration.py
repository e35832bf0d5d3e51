"""How much nearness counts in a trained model, fitted on the validation users.

Training steps would not tell: a model knows the items that it trains on, and finds nearness of
little use for them. After the training, the last places' weights, and what new items' scores are
multiplied by and start from, are those of the most probable held-out items (a softmax regression
under a normal prior). Two of these numbers are then chosen by ranking, since a good probability is
not yet a good rank: a factor of the weights by NDCG@10, and what new items start from. With this
number most users of new items find theirs among ten, while no fewer users of all do than without
nearness: new items get what nearness gains.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from recsys.data.dataset import NO_ITEM

__all__ = ["Calibration", "HeldOut", "calibrated"]

ROWS = 256  # of scores at once
ITERATIONS = 12  # of L-BFGS
FACTORS = (0.1, 0.25, 0.5, 0.75, 1.0)
STARTS = tuple(step / 8 for step in range(-8, 33))  # added to the fitted start
CUTOFF = 10
VERY_LOW = -1e9  # the score of an item that is no candidate


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a trained model says without nearness, and what its users took next.

    Attributes:
        users: (B, d) float32; products with `items` are the scores without nearness.
        items: (n_items, d) float32.
        near: (n_items, D) float32, vectors of length 1 or 0 whose products are the nearness.
        last: (B, T) int64, the last items of each history, the newest first, padded with -1.
        histories: (B, H) int64, items that are no candidates.
        targets: (B,) int64.
        new: (n_items,) bool, items without a training event, or taken as such.
    """

    users: Tensor
    items: Tensor
    near: Tensor
    last: Tensor
    histories: Tensor
    targets: Tensor
    new: Tensor


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is added to scores: Σ_t weights[t] · nearness to the t-th last item.

    Attributes:
        weights: (T,) float32.
        factor: what new items' nearness is multiplied by.
        start: added to new items' scores.
    """

    weights: Tensor
    factor: float
    start: float


def calibrated(held_out: HeldOut) -> Calibration:
    """Return the weights for which held-out items rank best; see the module.

    Users whose target is in their history do not count.
    """
    counts = (held_out.histories != held_out.targets[:, None]).all(1)
    rows = ("users", "last", "histories", "targets")
    held_out = replace(held_out, **{name: getattr(held_out, name)[counts] for name in rows})
    weights, factor, start = _most_probable(held_out)
    plain = Calibration(torch.zeros_like(weights), 1.0, 0.0)
    known = ~held_out.new[held_out.targets]
    gains = []
    for each in FACTORS:
        ranks = _ranks(held_out, Calibration(each * weights, 0.0, -torch.inf), (0.0,))[0]
        found = known & (ranks < CUTOFF)
        gains.append(float((found / torch.log2(ranks + 2.0)).sum()))
    chosen = FACTORS[gains.index(max(gains))]
    least = int((_ranks(held_out, plain, (0.0,)) < CUTOFF).sum())
    shared = Calibration(chosen * weights, factor / chosen, start)
    hits = _ranks(held_out, shared, STARTS) < CUTOFF
    of_new = (hits & ~known).sum(1).where(hits.sum(1) >= least, -1)
    added = STARTS[int(of_new.argmax())] if int(of_new.max()) >= 0 else 0.0  # the lowest of equals
    return replace(shared, start=start + added)


def _most_probable(held_out: HeldOut) -> tuple[Tensor, float, float]:
    """Return weights, factor and start that make the targets most probable, in units of scores."""
    places = held_out.last.shape[1]
    # The last three are the factor, the start, and what the scores without nearness count.
    prior = torch.cat([held_out.users.new_zeros(places), held_out.users.new_tensor([1.0, 0, 1])])
    found = prior.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [found], max_iter=ITERATIONS, history_size=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimizer.zero_grad()
        value = ((found - prior).square().sum() / 2) / len(held_out.targets)
        torch.autograd.backward(value)
        total = value.item()
        for rows in torch.split(torch.arange(len(held_out.targets)), ROWS):
            scores = _scores(held_out, rows, found[:places], *found[places:])
            summed = functional.cross_entropy(scores, held_out.targets[rows], reduction="sum")
            value = summed / len(held_out.targets)
            torch.autograd.backward(value)
            total += value.item()
        return total

    step: Callable[[Callable[[], float]], Tensor] = optimizer.step
    step(loss)
    weights, factor, start, scale = torch.split(found.detach(), [places, 1, 1, 1])
    return weights / scale, float(factor), float(start / scale)


@torch.no_grad()
def _ranks(held_out: HeldOut, by: Calibration, starts: tuple[float, ...]) -> Tensor:
    """Return how many candidates are before each target, (starts, B) int64, history left out.

    Args:
        starts: numbers to add to new items' scores, beside `by.start`.
    """
    ranks = []
    for rows in torch.split(torch.arange(len(held_out.targets)), ROWS):
        scores = _scores(held_out, rows, by.weights, by.factor, by.start, 1.0)
        targets = held_out.targets[rows]
        own = scores.gather(1, targets[:, None])
        ahead = []
        for start in starts:
            first = own + start * held_out.new[targets, None]
            ahead.append((scores + start * held_out.new > first).sum(1))
        ranks.append(torch.stack(ahead))
    return torch.cat(ranks, 1)


def _scores(
    held_out: HeldOut,
    rows: Tensor,
    weights: Tensor,
    factor: Tensor | float,
    start: Tensor | float,
    scale: Tensor | float,
) -> Tensor:
    """Return the scores (rows, n_items) with nearness; those of the histories are very low."""
    last = held_out.last[rows]
    vectors = functional.embedding(last.clamp(min=0), held_out.near)
    sums = torch.einsum("bt,btd->bd", weights * (last != NO_ITEM), vectors)
    nearness = (sums @ held_out.near.T) * torch.where(held_out.new, factor, 1.0)
    scores = scale * (held_out.users[rows] @ held_out.items.T) + nearness
    scores = scores + torch.where(held_out.new, start, 0.0)
    return scores.scatter(1, held_out.histories[rows], VERY_LOW)
