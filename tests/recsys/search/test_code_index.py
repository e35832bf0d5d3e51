"""The index of codes finds what a comparison with every item's vector finds."""

import numpy as np
import pytest
import torch

from recsys.search.code_index import CodeIndex
from recsys.search.item_tower import ItemTower
from tests.recsys.search.planted import planted

WIDTH = 8


def _index(levels: int, size: int, items: int, seed: int = 0) -> tuple[CodeIndex, np.ndarray]:
    """Return an index of random codes, and the items' vectors."""
    draw = np.random.default_rng(seed)
    tables = draw.standard_normal((levels, size, WIDTH)).astype(np.float32)
    bias = draw.standard_normal(WIDTH).astype(np.float32)
    codes = draw.integers(size, size=(items, levels)).astype(np.uint16)
    vectors = tables[np.arange(levels), codes].sum(1) + bias
    return CodeIndex(tables, bias, codes), vectors


def _users(count: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, WIDTH)).astype(np.float32)


@pytest.mark.parametrize(
    ("levels", "size", "items"), [(4, 256, 5000), (3, 16, 5000), (2, 600, 700), (1, 5, 40)]
)
def test_the_search_is_exact(levels: int, size: int, items: int) -> None:
    index, vectors = _index(levels, size, items)
    users = _users(6)
    found, scores = index.search(users, 30)
    products = users @ vectors.T
    assert scores == pytest.approx(-np.sort(-products, axis=1)[:, :30], abs=1e-4)
    assert scores == pytest.approx(np.take_along_axis(products, found, 1), abs=1e-4)
    assert all(len(set(row)) == 30 for row in found.tolist())


def test_more_than_there_are() -> None:
    index, vectors = _index(4, 16, 20)
    found, scores = index.search(_users(2), 50)
    assert found.shape == scores.shape == (2, 20)
    assert np.sort(found[0]).tolist() == list(range(20))
    assert len(vectors) == len(index)


def test_filters_hide_and_allow() -> None:
    index, vectors = _index(4, 16, 3000)
    users = _users(3)
    best = index.search(users, 3)[0]
    hidden = set(best.flatten().tolist())
    again = index.search(users, 10, hidden)[0]
    assert not hidden & set(again.flatten().tolist())
    others = np.setdiff1d(np.arange(3000), best.flatten())
    wanted = others[np.argsort(-(users[0] @ vectors[others].T))[:10]]
    assert again[0].tolist() == wanted.tolist()
    allowed = np.arange(0, 3000, 500)
    few = index.search(users, 20, {0, 500}, allowed)[0]
    assert [set(row) for row in few.tolist()] == [{1000, 1500, 2000, 2500, -1}] * 3
    assert (few[:, 4:] == -1).all()
    assert (index.search(users, 5, range(3000))[0] == -1).all()
    assert (index.search(users, 5, (), allowed[:0])[0] == -1).all()


def test_added_items_are_found_and_equal_ones_stand_in_order() -> None:
    index, vectors = _index(2, 4, 500)
    best = int(index.search(vectors[:1], 1)[0][0, 0])
    draw = np.random.default_rng(0)
    draw.standard_normal((2, 4, WIDTH))
    draw.standard_normal(WIDTH)
    codes = draw.integers(4, size=(500, 2)).astype(np.uint16)
    index.add(codes[best : best + 1])
    same = np.flatnonzero((codes == codes[best]).all(1)).tolist()
    found = index.search(vectors[:1], len(same) + 1)[0][0].tolist()
    assert found == [*same, 500]


def test_it_holds_the_item_tower() -> None:
    data = planted(users=40)
    torch.manual_seed(0)
    tower = ItemTower(data, ("codes",), WIDTH)
    users = _users(4)
    with torch.no_grad():
        products = users @ tower.all_candidates().numpy().T
    index = tower.code_index()
    found, scores = index.search(users, data.n_items)
    assert scores == pytest.approx(np.take_along_axis(products, found, 1), abs=1e-5)
