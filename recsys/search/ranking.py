"""Retrieval quality of ranked lists against judged items: recall, graded NDCG, reciprocal rank."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recsys.search.data.dataset import Rows, SearchDataset

__all__ = ["CUTOFFS", "list_metrics", "means", "order_metrics"]

CUTOFFS = (10, 50, 100)
DEPTH = max(CUTOFFS)


def list_metrics(
    lists: Rows, dataset: SearchDataset, requests: Rows, cutoffs: Sequence[int] = CUTOFFS
) -> dict[str, NDArray[np.float64]]:
    """Return metrics of every request from its ranked list of items.

    * `recall@k`: the share of the request's positive items in the first k places.
    * `ndcg@k`: the sum of gain / log2(1 + place) over the first k places, divided by the highest
      possible sum over the judged items. Items without a judgement have no gain.
    * `mrr@100`: 1 / the place of the first positive item of the list, else 0.

    Args:
        lists: (R, depth) int64, best first, -1 after the last; an item at most once.
        requests: (R,), each with a positive item.
        cutoffs: at most the depth.

    Returns:
        Arrays (R,) float64 by name.

    Raises:
        ValueError: there are no requests, or one has no positive item.
    """
    if not len(requests):
        raise ValueError("no requests; at least one is needed")
    depth = lists.shape[1]
    gains, positive = _judged_in(lists, dataset, requests)
    discount = 1 / np.log2(2 + np.arange(depth))
    ideal = np.zeros((len(requests), depth))
    answers = np.zeros(len(requests))
    for row, request in enumerate(requests):
        own = dataset.judgements(request)
        best = np.sort(dataset.gains[own].astype(np.float64))[::-1][:depth]
        ideal[row, : len(best)] = best
        answers[row] = dataset.positive[own].sum()
    if not answers.all():
        raise ValueError(f"request {requests[int(answers.argmin())]} has no positive item")
    metrics = {f"recall@{k}": positive[:, :k].sum(1) / answers for k in cutoffs}
    for k in cutoffs:
        possible = (ideal[:, :k] * discount[:k]).sum(1)
        reached = (gains[:, :k] * discount[:k]).sum(1)
        metrics[f"ndcg@{k}"] = np.divide(
            reached, possible, out=np.zeros(len(requests)), where=possible > 0
        )
    first = np.where(positive.any(1), 1 / (1.0 + positive.argmax(1)), 0.0)
    return {**metrics, f"mrr@{depth}": first}


def order_metrics(
    scores: NDArray[np.float32], dataset: SearchDataset, requests: Rows, draw: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Return metrics of the order in which shown items stand by their scores (JDsearch's own task).

    `mrr`, and `precision@10` and `ndcg@10` over the shown items; what was clicked, carted or
    ordered is positive, and its label is its gain. Equal scores stand in random order.

    Args:
        scores: of the judged items of all `requests`, one request after the other.
        draw: seed of the order of equal scores.
    """
    generator = np.random.default_rng(draw)
    found: dict[str, list[float]] = {"mrr": [], "precision@10": [], "ndcg@10": []}
    start = 0
    for request in requests:
        own = dataset.judgements(request)
        count = own.stop - own.start
        part, start = scores[start : start + count], start + count
        order = np.lexsort((generator.random(count), -part))
        gains = dataset.gains[own][order].astype(np.float64)
        positive = dataset.positive[own][order]
        discount = 1 / np.log2(2 + np.arange(min(10, count)))
        best = float((np.sort(gains)[::-1][:10] * discount).sum())
        found["mrr"].append(1 / (1 + int(positive.argmax())))
        found["precision@10"].append(float(positive[:10].sum()) / 10)
        found["ndcg@10"].append(float((gains[:10] * discount).sum()) / best)
    return {name: np.asarray(values) for name, values in found.items()}


def means(metrics: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Average each metric over the requests."""
    return {name: float(values.mean()) for name, values in metrics.items()}


def _judged_in(
    lists: Rows, dataset: SearchDataset, requests: Rows
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the gain of each place of each list, and whether its item is positive."""
    row = np.repeat(
        np.arange(len(requests)),
        dataset.judged_offsets[requests + 1] - dataset.judged_offsets[requests],
    )
    at = np.concatenate([np.arange(*_bounds(dataset, request)) for request in requests])
    keys = row * dataset.n_items + dataset.judged[at]
    order = np.argsort(keys, kind="stable")
    keys, at = keys[order], at[order]
    wanted = np.arange(len(requests))[:, None] * dataset.n_items + lists
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    known = (keys[place] == wanted) & (lists >= 0)
    gains = np.where(known, dataset.gains[at][place], 0.0)
    return gains, known & dataset.positive[at][place]


def _bounds(dataset: SearchDataset, request: int) -> tuple[int, int]:
    own = dataset.judgements(request)
    return own.start, own.stop
