"""The best items of a whole catalogue by inner product, exactly; equal scores in random order."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recsys.search.data.dataset import NO_QUERY, Rows, SearchDataset
from recsys.search.model import SearchModel, query_rows

__all__ = ["model_lists", "model_scores", "top_items", "user_vectors"]

AT_ONCE = 512  # requests
BLOCK = 65_536  # items


@torch.no_grad()
def user_vectors(model: SearchModel, dataset: SearchDataset, requests: Rows) -> Tensor:
    """Return the model's vectors (R, d) of requests, on its device."""
    device = model.query.weight.device
    parts = []
    for part in np.array_split(requests, -(-len(requests) // AT_ONCE)):
        vectors, asked = query_rows(dataset, torch.from_numpy(part))
        histories = torch.from_numpy(dataset.histories(part, model.history))
        parts.append(model.users(vectors.to(device), asked.to(device), histories.to(device)))
    return torch.cat(parts)


def model_lists(model: SearchModel, dataset: SearchDataset, requests: Rows, k: int) -> Rows:
    """Return the k best items (R, k) int64 of the whole catalogue for each request.

    A request that the model cannot read, since it has no query and the model reads no history, gets
    -1 in all places.
    """
    k = min(k, dataset.n_items)
    lists = np.full((len(requests), k), -1, dtype=np.int64)
    readable = dataset.request_query[requests] != NO_QUERY
    if model.history:
        readable |= dataset.history_end[requests] > dataset.history_start[requests]
    if readable.any():
        users = user_vectors(model, dataset, requests[readable])
        lists[readable] = top_items(users, model.items.all_candidates(), k)
    return lists


@torch.no_grad()
def model_scores(model: SearchModel, dataset: SearchDataset, requests: Rows) -> NDArray[np.float32]:
    """Return the scores of the judged items of all requests, one request after the other."""
    users, scores = user_vectors(model, dataset, requests), []
    for user, request in zip(users, requests, strict=True):
        items = torch.from_numpy(dataset.judged[dataset.judgements(request)].astype(np.int64))
        scores.append(model.items.candidates(items.to(users.device)) @ user)
    found: NDArray[np.float32] = torch.cat(scores).cpu().numpy()
    return found


@torch.no_grad()
def top_items(users: Tensor, items: Tensor, k: int, seed: int = 0) -> Rows:
    """Return the k items with the highest products for each user: (R, k) int64, best first.

    Items with equal vectors stand in a random order that the seed gives, so that the catalogue's
    order wins nothing.

    Args:
        users: (R, d).
        items: (n_items, d), on the same device.
    """
    drawn = torch.from_numpy(np.random.default_rng(seed).permutation(len(items)))
    order = drawn.to(items.device)
    shuffled = items[order]
    found = [order[_best(part, shuffled, k)].cpu() for part in torch.split(users, AT_ONCE)]
    return torch.cat(found).numpy()


def _best(users: Tensor, items: Tensor, k: int) -> Tensor:
    """Return the places (B, k) of the highest products; of equal ones the first in `items`."""
    best: Tensor | None = None
    places: Tensor | None = None
    for start, block in _blocks(items):
        scores = users @ block.T
        width = min(k, scores.shape[1])
        values, at = scores.topk(width, dim=1)
        if best is not None and places is not None:
            values, at = torch.cat([best, values], 1), torch.cat([places, at + start], 1)
        else:
            at = at + start
        order = torch.sort(values, dim=1, descending=True, stable=True).indices[:, :k]
        best, places = values.gather(1, order), at.gather(1, order)
    assert places is not None
    return places


def _blocks(items: Tensor) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(items), BLOCK):
        yield start, items[start : start + BLOCK]
