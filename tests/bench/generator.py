"""The generator: search and training beside T5 and TIGER, and a catalogue of 1,000,000 items."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.demo import demo_interactions, demo_items
from recsys.data.dataset import SequenceDataset
from recsys.data.preparation import prepare_dataset
from recsys.generation.generator import Generator
from recsys.generation.generator_config import GeneratorConfig
from recsys.generation.tiger import TigerRecommender, TigerRecommenderConfig
from recsys.models.base import NextItemModel
from tests.bench.measure import best_seconds, interleaved_seconds
from tests.recsys.generation.t5 import t5_of

__all__ = ["generator", "training_data"]

LEVELS, CODES = 4, 256
ITEMS, MANY_ITEMS, SHOPPERS = 12_101, 1_000_000, 2000
USERS, HISTORY, BEAMS, TOP = 32, 20, 50, 10
BATCH = 128
CANDIDATES = 10_000
REQUESTS = 50


def generator() -> dict[str, Any]:
    """Return speeds on one thread; weights are random, so that they say nothing of quality.

    * milliseconds a user of a search with 50 beams, batch 32 and 12,101 items, beside Hugging
      Face's `generate` on a T5 of TIGER's shape under the same catalogue;
    * items a second in training, beside TIGER on the same events;
    * the median milliseconds of one user's request at 1,000,000 items: among all, among 10,000
      candidates, and under a prefix of two codes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {**_search(), **_training(), **_large()}
    finally:
        torch.set_num_threads(threads)


def _search() -> dict[str, float]:
    data = _catalogue(ITEMS)
    model = Generator(GeneratorConfig(headroom=0), data).eval()
    tiger = TigerRecommender(TigerRecommenderConfig(headroom=0), data)
    oracle: Any = t5_of(tiger.config, tiger.vocabulary.size)
    histories = torch.randint(0, ITEMS, (USERS, HISTORY), generator=_drawn())
    tokens = tiger.tokens[histories].flatten(1)
    following: dict[tuple[int, ...], set[int]] = {}
    for row in tiger.tokens[:-1].tolist():
        for end, token in enumerate(row):
            following.setdefault(tuple(row[:end]), set()).add(token)
    allowed = {path: sorted(after) for path, after in following.items()}

    def theirs() -> None:
        oracle.generate(
            tokens,
            num_beams=BEAMS,
            num_return_sequences=TOP,
            min_new_tokens=LEVELS,
            max_new_tokens=LEVELS,
            length_penalty=0.0,
            early_stopping=True,
            prefix_allowed_tokens_fn=lambda _, path: allowed[tuple(path.tolist()[1:])],
        )

    mine = best_seconds(lambda: model.recommend(histories, TOP, beams=BEAMS))
    peer = best_seconds(theirs, repeats=1)
    return {
        "milliseconds_a_user": mine / USERS * 1e3,
        "hugging_face_milliseconds_a_user": peer / USERS * 1e3,
        "search_ratio": peer / mine,
    }


def training_data() -> SequenceDataset:
    """Return generated shoppers of 12,101 items with codes."""
    items = demo_items(ITEMS)
    data = prepare_dataset(demo_interactions(items, SHOPPERS), items)
    return replace(data, codes=_codes(ITEMS), codebook_size=CODES)


def _training() -> dict[str, float]:
    data = training_data()
    models: dict[str, NextItemModel] = {
        "generator": Generator(GeneratorConfig(headroom=0), data),
        "tiger": TigerRecommender(TigerRecommenderConfig(headroom=0), data),
    }
    steps, predicted = {}, {}
    for name, model in models.items():
        examples = model.examples(data)
        chosen = examples[torch.randperm(len(examples), generator=_drawn())[:BATCH]]
        # TIGER writes one item an example, in as many predictions as an ID has tokens.
        each = model.predictions(chosen)
        predicted[name] = len(chosen) if name == "tiger" else int(each.sum())
        steps[name] = _step(model.train(), chosen)
    seconds = interleaved_seconds(steps, rounds=3, repeats=1)
    rates = {name: predicted[name] / seconds[name] for name in models}
    return {
        "training_items_per_second": rates["generator"],
        "tiger_training_items_per_second": rates["tiger"],
        "training_ratio": rates["generator"] / rates["tiger"],
    }


def _large() -> dict[str, float]:
    data = _catalogue(MANY_ITEMS)
    model = Generator(GeneratorConfig(headroom=0, rows_to=2), data).eval()
    assert data.codes is not None
    draw = np.random.default_rng(0)
    some = torch.from_numpy(np.sort(draw.choice(MANY_ITEMS, CANDIDATES, replace=False)))
    first = data.codes[0, :2]
    under = torch.from_numpy(np.flatnonzero((data.codes[:, :2] == first).all(1)))
    found = {}
    for name, among in (("all", None), ("candidates", some), ("prefix", under)):
        taken = []
        for _ in range(REQUESTS):
            history = torch.from_numpy(draw.integers(0, MANY_ITEMS, (1, HISTORY)))
            began = time.perf_counter()
            model.recommend(history, TOP, history, among, BEAMS)
            taken.append(time.perf_counter() - began)
        found[f"million_items_{name}_p50_milliseconds"] = float(np.median(taken)) * 1e3
    return found


def _catalogue(items: int) -> SequenceDataset:
    """Return a catalogue in which every item has a training event."""
    ids = tuple(map(str, range(items)))
    return SequenceDataset(
        ids,
        (),
        np.zeros(0, np.int32),
        np.zeros(1, np.int64),
        codes=_codes(items),
        counts=np.ones(items, np.int64),
        codebook_size=CODES,
    )


def _codes(items: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return distinct IDs whose first codes are as uneven as those of a catalogue."""
    draw = np.random.default_rng(0)
    drawn = (draw.beta(1, 2, (2 * items, LEVELS)) * CODES).astype(np.uint16)
    return draw.permutation(np.unique(drawn, axis=0))[:items]


def _step(model: nn.Module, examples: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        loss = model(examples)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


def _drawn() -> torch.Generator:
    return torch.Generator().manual_seed(0)
