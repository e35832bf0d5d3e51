"""Rankings without training: the nearest content vectors, and what others took for a query."""

import numpy as np
import torch
from torch.nn import functional

from data_prep.errors import InputError
from recsys.search.data.dataset import NO_QUERY, Rows, SearchDataset
from recsys.search.model import query_rows
from recsys.search.retrieval import top_items

__all__ = ["content_lists", "query_popularity_lists"]


def content_lists(dataset: SearchDataset, requests: Rows, k: int, device: str = "cpu") -> Rows:
    """Return the items whose content vectors have the highest cosine with the query's.

    A request without a query gets -1 in all places.

    Raises:
        InputError: the data has no vectors.
    """
    if dataset.vectors is None or dataset.query_vectors is None:
        raise InputError("the data has no content vectors; prepare it with an encoder")
    k = min(k, dataset.n_items)
    lists = np.full((len(requests), k), -1, dtype=np.int64)
    asked = dataset.request_query[requests] != NO_QUERY
    if asked.any():
        vectors, _ = query_rows(dataset, torch.from_numpy(requests[asked]))
        items = functional.normalize(torch.from_numpy(dataset.vectors), dim=1).to(device)
        lists[asked] = top_items(functional.normalize(vectors, dim=1).to(device), items, k)
    return lists


def query_popularity_lists(dataset: SearchDataset, requests: Rows, k: int) -> Rows:
    """Return the items that answered a query most often in training, then the others by popularity.

    Items with equal counts stand in random order. A query that training lacks gets the most popular
    items.
    """
    request, item = dataset.pairs()
    query = dataset.request_query[request].astype(np.int64)
    order = np.random.default_rng(0).permutation(dataset.n_items)
    popular = order[np.argsort(-dataset.popularity[order], kind="stable")][:k]
    keys, counts = np.unique(query * dataset.n_items + item, return_counts=True)
    rank = np.empty(dataset.n_items, dtype=np.int64)
    rank[order] = np.arange(dataset.n_items)
    best: dict[int, Rows] = {}
    bounds = np.searchsorted(keys // dataset.n_items, np.arange(len(dataset.queries) + 1))
    lists = np.empty((len(requests), min(k, dataset.n_items)), dtype=np.int64)
    for row, asked in enumerate(dataset.request_query[requests].tolist()):
        if asked not in best:
            own = slice(*bounds[asked : asked + 2]) if asked != NO_QUERY else slice(0, 0)
            items = keys[own] % dataset.n_items
            sorted_ = items[np.lexsort((rank[items], -dataset.popularity[items], -counts[own]))]
            rest = popular[~np.isin(popular, sorted_)]
            best[asked] = np.concatenate([sorted_, rest])[: lists.shape[1]]
        lists[row] = best[asked]
    return lists
