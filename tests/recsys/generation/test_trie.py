"""The trie equals a plain set of prefixes, for random IDs, additions and exclusions."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys.generation.valid_ids.trie
from data_prep.errors import InputError
from recsys.generation.valid_ids.trie import Trie
from recsys.generation.valid_ids.vocabulary import PADDING, Tokens, Vocabulary

VOCABULARY = Vocabulary(levels=3, codebook_size=4, suffixes=2, user_buckets=3)
ID = st.tuples(*[st.integers(0, 3)] * 3, st.integers(0, 1))
IDS = st.lists(ID, min_size=1, max_size=40, unique=True)
Row = tuple[int, ...]


def _tokens(rows: list[Row]) -> Tokens:
    numbers = np.asarray(rows, dtype=np.int64).reshape(-1, 4)
    return VOCABULARY.encode(numbers[:, :3], numbers[:, 3])


def _grown(rows: list[Row], cuts: list[int]) -> Trie:
    """Build a trie of the first rows, and add the others in parts."""
    bounds = [*sorted({1 + cut % len(rows) for cut in cuts}), len(rows)]
    trie = Trie(VOCABULARY, _tokens(rows[: bounds[0]]))
    for start, end in pairwise(bounds):
        trie = trie.with_items(_tokens(rows[start:end]))
    return trie


def _follow(trie: Trie, prefix: Row, users: int = 1) -> torch.Tensor:
    nodes = trie.root(users)
    for position, code in enumerate(prefix):
        tokens = torch.full((users, 1), VOCABULARY.first(position) + code)
        nodes = trie.advance(position, nodes, tokens)
    return nodes


@settings(deadline=None)
@given(IDS, st.lists(st.integers(0, 40), max_size=4), st.data())
def test_the_mask_is_that_of_a_set_of_ids(
    rows: list[Row], cuts: list[int], data: st.DataObject
) -> None:
    """Checked at every prefix, valid or not, with items left out and items added late."""
    trie = _grown(rows, cuts)
    assert len(trie) == len(rows)
    number = st.integers(-1, len(rows) - 1)
    users = data.draw(st.integers(1, 3))
    size = data.draw(st.integers(0, len(rows) + 3))
    excluded = [
        data.draw(
            st.lists(number, min_size=size, max_size=size)
            | st.permutations([*range(len(rows)), -1, -1, -1]).map(lambda order: order[:size])
        )
        for _ in range(users)
    ]
    exclusions = trie.exclude(torch.tensor(excluded, dtype=torch.long).view(users, size))
    shown = [
        {row for item, row in enumerate(rows) if item not in excluded[u]} for u in range(users)
    ]
    for position in range(VOCABULARY.length):
        prefixes = sorted({row[:position] for row in rows} | {(3,) * position})
        nodes = torch.cat([_follow(trie, prefix, users) for prefix in prefixes], dim=1)
        free = trie.allowed(position, nodes)
        mask = trie.allowed(position, nodes, exclusions)
        assert mask.shape == (users, len(prefixes), VOCABULARY.width(position))
        for user in range(users):
            for beam, prefix in enumerate(prefixes):
                for found, ids in ((free, set(rows)), (mask, shown[user])):
                    expected = {row[position] for row in ids if row[:position] == prefix}
                    assert set(found[user, beam].nonzero().flatten().tolist()) == expected


@settings(deadline=None)
@given(IDS, st.lists(st.integers(0, 40), max_size=4), st.lists(ID, max_size=10))
def test_leaves_are_items_there_and_back(
    rows: list[Row], cuts: list[int], others: list[Row]
) -> None:
    trie = _grown(rows, cuts)
    numbers = {row: item for item, row in enumerate(rows)}
    asked = [*rows, *others]
    found = trie.find(torch.from_numpy(_tokens(asked)))
    assert found.tolist() == [numbers.get(row, -1) for row in asked]
    items = torch.tensor([[*range(len(rows)), -1]])
    tokens = trie.tokens(items)
    assert tokens.shape == (1, len(rows) + 1, 4)
    assert np.array_equal(tokens[0, :-1].numpy(), _tokens(rows))
    assert (tokens[0, -1] == PADDING).all()


@settings(deadline=None)
@given(IDS, st.data())
def test_an_id_given_twice_is_refused(rows: list[Row], data: st.DataObject) -> None:
    item = data.draw(st.integers(0, len(rows) - 1))
    codes = "-".join(map(str, rows[item][:3]))
    said = f"the ID {codes} with suffix {rows[item][3]} is given twice, to items {item} and "
    with pytest.raises(InputError, match=said + str(len(rows))):
        Trie(VOCABULARY, _tokens([*rows, rows[item]]))
    start = data.draw(st.integers(1, len(rows)))
    trie = Trie(VOCABULARY, _tokens(rows[:start]))
    with pytest.raises(InputError, match=said + str(len(rows))):
        trie.with_items(_tokens([*rows[start:], rows[item]]))
    with pytest.raises(InputError, match=said + str(len(rows))):
        trie.with_items(_tokens(rows[start:])).with_items(_tokens([rows[item]]))
    end = data.draw(st.integers(start, len(rows)))
    with pytest.raises(InputError, match=said + str(len(rows))):
        trie.with_items(_tokens(rows[start:end])).with_items(_tokens([*rows[end:], rows[item]]))
    assert len(trie) == start


def test_late_items_join_the_others_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recsys.generation.valid_ids.trie, "_LATE_ITEMS", 5)
    rng = np.random.default_rng(0)
    rows = [tuple(row) for row in np.argwhere(np.ones((4, 4, 4, 2)))[rng.permutation(128)].tolist()]
    trie = Trie(VOCABULARY, _tokens(rows[:10]))
    parts = []
    for row in range(10, 128):
        before = trie
        trie = trie.with_items(_tokens([rows[row]]))
        assert (len(before), len(trie)) == (row, row + 1)
        parts.append(len(trie.parts))
    assert parts[:7] == [2, 2, 2, 2, 2, 1, 2]
    assert trie.find(torch.from_numpy(_tokens(rows))).tolist() == list(range(128))
    assert trie.with_items(_tokens([])) is trie


def test_unknown_items_and_no_items_are_refused() -> None:
    trie = Trie(VOCABULARY, _tokens([(0, 1, 2, 0), (0, 1, 3, 0)]))
    for items in ([[2]], [[0, -2]]):
        with pytest.raises(InputError, match=rf"item number {items[0][-1]} is beyond 0…1"):
            trie.exclude(torch.tensor(items))
    with pytest.raises(InputError, match="a trie of 0 items"):
        Trie(VOCABULARY, _tokens([]))
    with pytest.raises(InputError, match="token 0 at position 0"):
        Trie(VOCABULARY, np.zeros((1, 4), dtype=np.int64))


def test_a_large_codebook_and_long_ids_are_searched_alike() -> None:
    vocabulary = Vocabulary(levels=8, codebook_size=65_536)
    codes = np.random.default_rng(0).integers(0, 65_536, (3000, 8)).astype(np.uint16)
    codes[1000:, :4] = codes[0, :4]
    tokens = vocabulary.encode(codes)
    trie = Trie(vocabulary, tokens[:2900]).with_items(tokens[2900:])
    assert trie.find(torch.from_numpy(tokens)).tolist() == list(range(3000))
    assert trie.bytes_per_item < 100
