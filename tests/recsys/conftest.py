"""A small data set of generated shoppers, with random codes and vectors."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from data_prep.demo import demo_interactions, demo_items
from recsys.data.dataset import SequenceDataset
from recsys.data.preparation import prepare_dataset


def dataset_of(
    sequences: Sequence[Sequence[int]], n_items: int, codes: Sequence[Sequence[int]] | None = None
) -> SequenceDataset:
    """Return the data set of users with these sequences of item numbers."""
    return SequenceDataset(
        tuple(f"i{item}" for item in range(n_items)),
        tuple(f"u{user}" for user in range(len(sequences))),
        np.concatenate([np.asarray(s, dtype=np.int32) for s in sequences]),
        np.cumsum([0, *map(len, sequences)], dtype=np.int64),
        None if codes is None else np.asarray(codes, dtype=np.uint16),
        codebook_size=0 if codes is None else int(np.max(codes)) + 1,
    )


def in_order(users: int = 150) -> SequenceDataset:
    """Return users whose item i is followed by (7 i + 3) mod 50; i and i + 25 share codes."""
    rows = []
    for user in range(users):
        row = [user % 50]
        for _ in range(3 + user % 7):
            row.append((7 * row[-1] + 3) % 50)
        rows.append(row)
    data = dataset_of(rows, 50, [[item % 25 // 5, item % 5] for item in range(50)])
    return replace(data, suffixes=np.repeat(np.arange(2, dtype=np.uint32), 25))


@pytest.fixture(scope="session")
def tables() -> dict[str, pl.DataFrame]:
    """Return 300 items and 200 shoppers, with IDs of three codes and vectors of length 8."""
    items = demo_items(300)
    draw = np.random.default_rng(0)
    ids = pl.DataFrame(
        {
            "item_id": items["item_id"],
            "codes": draw.integers(0, 16, (300, 3)).tolist(),
            "suffix": [0] * 300,
            "tokenizer": ["f00d"] * 300,
        },
        schema_overrides={"codes": pl.List(pl.UInt16), "suffix": pl.UInt32},
    )
    vectors = pl.DataFrame(
        {"item_id": items["item_id"], "vector": draw.normal(size=(300, 8)).tolist()}
    )
    events = demo_interactions(items, shoppers=200)
    return {"items": items, "events": events, "ids": ids, "vectors": vectors}


@pytest.fixture(scope="session")
def dataset(tables: dict[str, pl.DataFrame]) -> SequenceDataset:
    events, items, ids, vectors = (tables[n] for n in ("events", "items", "ids", "vectors"))
    return prepare_dataset(events, items, ids, vectors, codebook_size=16, source="generated")
