"""A recommender of a million items: its whole answer, and its index exhaustive and in lists.

The dual encoder reads codes and nearness, and has its first weights. Codes and codewords are drawn,
each level's codewords shorter than those of the level before, so that prefixes gather near items.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from recsys.data.dataset import SequenceDataset
from recsys.inner_product_index import InnerProductIndex
from recsys.models.causal_transformer import TowerConfig
from recsys.models.dual_encoder import DualEncoder, DualEncoderConfig
from recsys.recommender import Recommender

__all__ = ["recommending_at_size"]

SIZES = (100_000, 1_000_000)
LEVELS, SIZE, DIMENSION = 4, 256, 64
SHRINKS = 0.6  # length of a level's codewords, in that of the level before
QUERIES, K, HISTORY = 100, 10, 20


def recommending_at_size(sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Return a row for each number of items; all on one thread."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    return [_measured(items) for items in sizes]


def _measured(items: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    catalogue = _catalogue(items, draw)
    torch.manual_seed(0)
    shape = DualEncoderConfig(
        parts=("codes",), nearness="codes", tower=TowerConfig(history=HISTORY)
    )
    model = DualEncoder(shape, catalogue).eval()
    assert model.nearness is not None
    torch.nn.init.constant_(model.nearness.weights, 0.1)
    started = time.perf_counter()
    recommender = Recommender(model, catalogue, "bench", {})
    loading = time.perf_counter() - started
    numbers = torch.from_numpy(draw.integers(0, items, (QUERIES, HISTORY)))
    histories = [[str(item) for item in row] for row in numbers.tolist()]
    with torch.no_grad():
        users, vectors = model.user_vectors(numbers).numpy(), model.item_vectors().numpy()
        sample = model.user_vectors(numbers.flip(0)[:, :1]).numpy()
    exact, lists = InnerProductIndex(vectors), InnerProductIndex(vectors, sample)
    return {
        "items": items,
        "width": vectors.shape[1],
        "load_seconds": loading,
        "recommend_p50_milliseconds": _p50(lambda own: recommender.recommend([own], K), histories),
        "exhaustive_p50_milliseconds": _p50(lambda user: exact.search(user[None], K), users),
        "index_p50_milliseconds": _p50(lambda user: lists.search(user[None], K), users),
        "index_lists_read": lists.probes,
        "index_recall_at_10": _shared(exact.search(users, K)[0], lists.search(users, K)[0]),
    }


def _catalogue(items: int, draw: np.random.Generator) -> SequenceDataset:
    lengths = SHRINKS ** np.arange(LEVELS)[:, None, None]
    codebooks = draw.standard_normal((LEVELS, SIZE, DIMENSION)) * lengths
    return SequenceDataset(
        item_ids=tuple(map(str, range(items))),
        user_ids=(),
        events=np.empty(0, np.int32),
        offsets=np.zeros(1, np.int64),
        codes=draw.integers(0, SIZE, (items, LEVELS)).astype(np.uint16),
        suffixes=np.zeros(items, np.uint32),
        codebooks=codebooks.astype(np.float32),
        counts=np.ones(items, np.int64),
        codebook_size=SIZE,
        tokenizer="drawn",
    )


def _p50(answer: Callable[[Any], object], asked: Iterable[Any]) -> float:
    taken = []
    for each in asked:
        started = time.perf_counter()
        answer(each)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1e3


def _shared(wanted: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(wanted, found, strict=True)]))
