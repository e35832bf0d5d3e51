"""FAISS over the item tower: lists find what the exact search finds; filters hold."""

import numpy as np
import pytest

from recsys.inner_product_index import FOUND, InnerProductIndex


def _clustered(count: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(7)
    centres = draw.standard_normal((40, 16))
    own = np.random.default_rng(seed)
    return (centres[own.integers(40, size=count)] + 0.3 * own.standard_normal((count, 16))).astype(
        np.float32
    )


@pytest.mark.parametrize("limit", [10_000, 1_000])
def test_the_best_items_are_found(limit: int) -> None:
    items, users = _clustered(4000, 0), _clustered(50, 1)
    index = InnerProductIndex(items, users[:20], exact_up_to=limit)
    assert (index.probes == 0) == (limit == 10_000)
    assert index.found >= FOUND
    found, scores = index.search(users, 20)
    wanted = np.argsort(-(users @ items.T), axis=1)[:, :20]
    shared = [len(set(a) & set(b)) / 20 for a, b in zip(found, wanted, strict=True)]
    assert np.mean(shared) > 0.95
    assert scores == pytest.approx(np.take_along_axis(users @ items.T, found, 1), abs=1e-4)


@pytest.mark.parametrize("limit", [10_000, 1_000])
def test_filters_hide_and_allow(limit: int) -> None:
    items, users = _clustered(4000, 0), _clustered(5, 1)
    index = InnerProductIndex(items, users, exact_up_to=limit)
    best = index.search(users, 3)[0]
    hidden = set(best[:, 0].tolist())
    again = index.search(users, 3, hidden=hidden)[0]
    assert not hidden & set(again.flatten().tolist())
    allowed = np.arange(0, 4000, 500)
    few = index.search(users, 20, allowed=allowed)[0]
    assert set(few.flatten().tolist()) <= {*allowed.tolist(), -1}
    assert (np.sort(few[:, -1]) == -1).all()
    fewer = index.search(users, 20, hidden={0, 500}, allowed=allowed)[0]
    assert not {0, 500} & set(fewer.flatten().tolist())


def test_added_items_are_found() -> None:
    items = _clustered(100, 0)
    index = InnerProductIndex(items)
    index.add(10 * items[:1])
    assert len(index) == 101
    assert index.search(items[:1], 1)[0].tolist() == [[100]]
