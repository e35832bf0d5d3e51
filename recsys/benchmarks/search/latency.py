"""How long one query takes: the query tower and the index over all items."""

import time

import numpy as np
import torch

from recsys.inner_product_index import InnerProductIndex
from recsys.search.code_index import CodeIndex
from recsys.search.data.dataset import NO_QUERY, Rows, SearchDataset
from recsys.search.model import SearchModel
from recsys.search.ranking import DEPTH
from recsys.search.retrieval import user_vectors

__all__ = ["query_latency"]

QUERIES = 100
WARM_UP = 5
SAMPLE = 200  # requests that choose how many lists the index reads


def query_latency(model: SearchModel, dataset: SearchDataset, requests: Rows) -> dict[str, float]:
    """Return the milliseconds of one request at a time, without the encoding of its text.

    Requests without a query are left out. Measured on the CPU whatever the model was trained on:
    the query tower, and the search for 100 items: by the items' codes, as it is served, where they
    are all that the model reads, else by FAISS. `found` is the share of the exact search's items
    that the index found.
    """
    device = model.query.weight.device
    model = model.to("cpu")
    requests = requests[dataset.request_query[requests] != NO_QUERY]
    sample = np.random.default_rng(1).choice(requests, min(SAMPLE, len(requests)), replace=False)
    users = user_vectors(model, dataset, sample).numpy()
    index: CodeIndex | InnerProductIndex
    if model.items.reads_codes_alone:
        index, found = model.items.code_index(), 1.0
    else:
        index = InnerProductIndex(model.items.all_candidates().numpy(), users)
        found = index.found
    drawn = np.random.default_rng(0).choice(requests, WARM_UP + QUERIES)
    seconds = []
    for request in drawn:
        started = time.perf_counter()
        user = user_vectors(model, dataset, np.asarray([request]))
        index.search(user.numpy(), min(DEPTH, dataset.n_items))
        seconds.append(time.perf_counter() - started)
    model.to(device)
    p50, p95 = np.percentile(seconds[WARM_UP:], (50, 95)) * 1000
    return {
        "p50_ms": round(float(p50), 3),
        "p95_ms": round(float(p95), 3),
        "threads": torch.get_num_threads(),
        "found": round(found, 4),
    }
