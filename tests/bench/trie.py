"""The trie of valid IDs and its beam search at a real size."""

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recsys.generation.beam_search import beam_search
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import Tokens, Vocabulary
from tests.bench.measure import best_seconds

__all__ = ["trie"]

ITEMS, LATE = 1_000_000, 6000
USERS, BEAMS, HISTORY = 32, 50, 20
# Uniformly drawn IDs share only short prefixes: the worst case of nodes an item.
LEVELS = (4, 8)


@dataclass
class _FixedModel:
    """Returns the same scores at each step, so that the search alone is measured."""

    logits: Tensor

    def start(self, batch: int) -> int:
        return batch

    def step(self, state: int, tokens: Tensor | None, parents: Tensor | None) -> Tensor:  # noqa: ARG002
        return self.logits[:, : 1 if tokens is None else tokens.shape[1]]


def _catalogue(levels: int, items: int) -> tuple[Vocabulary, Tokens]:
    """Draw `items` different IDs."""
    rng = np.random.default_rng(0)
    vocabulary = Vocabulary(levels, 256, suffixes=32)
    codes = rng.integers(0, 256, (items, levels)).astype(np.uint16)
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(unique)))
    suffixes = np.empty(items, dtype=np.uint32)
    suffixes[order] = np.arange(items) - starts[inverse[order]]
    return vocabulary, vocabulary.encode(codes, suffixes)


def _of_levels(levels: int) -> dict[str, float]:
    vocabulary, tokens = _catalogue(levels, ITEMS + LATE + 1)
    started = time.perf_counter()
    whole = Trie(vocabulary, tokens[:ITEMS])
    figures = {"build_seconds": time.perf_counter() - started}
    tracemalloc.start()
    Trie(vocabulary, tokens[:ITEMS])
    peak = tracemalloc.get_traced_memory()[1] / ITEMS
    tracemalloc.stop()
    late = whole.with_items(tokens[ITEMS:-1])
    excluded = torch.randint(0, ITEMS, (USERS, HISTORY), generator=torch.manual_seed(0))
    model = _FixedModel(torch.randn(USERS, BEAMS, vocabulary.size))
    work: dict[str, Callable[[], object]] = {
        "add_one": lambda: whole.with_items(tokens[-1:]),
        "add_thousand": lambda: whole.with_items(tokens[-1000:]),
        "add_one_to_many_late": lambda: late.with_items(tokens[-1:]),
        "exclude": lambda: whole.exclude(excluded),
        "search": lambda: beam_search(model, USERS, whole),
        "search_with_exclusions": lambda: beam_search(model, USERS, whole, excluded=excluded),
        "search_with_late_items": lambda: beam_search(model, USERS, late, excluded=excluded),
        "normalisation": lambda: model.logits.logsumexp(-1),
    }
    figures |= {"bytes_per_item": whole.bytes_per_item, "build_peak_bytes_per_item": peak}
    figures |= _of_steps(whole, excluded)
    return figures | {
        f"{name}_milliseconds": best_seconds(call, 5) * 1e3 for name, call in work.items()
    }


def _of_steps(whole: Trie, excluded: Tensor) -> dict[str, float]:
    """Walk 50 random beams a user down the trie; return the time of the slowest position."""
    vocabulary, exclusions = whole.vocabulary, whole.exclude(excluded)
    nodes = whole.root(USERS)
    slowest: dict[str, float] = {}
    for position in range(vocabulary.length):
        first, width = vocabulary.first(position), vocabulary.width(position)
        mask = whole.allowed(position, nodes).flatten(1)
        beams = min(BEAMS, int(mask.sum(1).min()))
        chosen = (torch.rand(mask.shape) * mask).topk(beams).indices
        parents = nodes.take_along_dim((chosen // width)[..., None], 1)
        tokens = chosen % width + first
        for name, call in {
            "mask": partial(whole.allowed, position, nodes),
            "mask_with_exclusions": partial(whole.allowed, position, nodes, exclusions),
            "advance": partial(whole.advance, position, parents, tokens),
        }.items():
            key = f"{name}_milliseconds"
            slowest[key] = max(slowest.get(key, 0.0), best_seconds(call, 5) * 1e3)
        nodes = whole.advance(position, parents, tokens)
    return slowest


def trie() -> dict[str, Any]:
    """Measure building, memory, adding, a step's mask and a search, for 1,000,000 items.

    Searches are for 32 users with 50 beams; each user has 20 exclusions; 6,000 items are added
    late. The model costs nothing, so that most of a search's time beyond the trie is the
    normalisation over the vocabulary; its time for one step is measured too.
    """
    return {
        f"levels_{levels}_{name}": value
        for levels in LEVELS
        for name, value in _of_levels(levels).items()
    }
