from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.models.item_vectors import ItemVectors
from tests.recsys.conftest import dataset_of


def test_item_vectors_are_the_sum_of_their_parts(dataset: SequenceDataset) -> None:
    assert dataset.codes is not None
    assert dataset.vectors is not None
    vectors = ItemVectors(dataset, ("content", "codes", "dense"), 16)
    table = vectors()
    assert vectors.levels is not None
    assert vectors.dense is not None
    assert vectors.projection is not None
    for item in (0, 17, 299):
        codes = dataset.codes[item].tolist()
        expected = sum(vectors.levels[level * 16 + code] for level, code in enumerate(codes))
        content = torch.from_numpy(dataset.vectors[item])
        expected = expected + vectors.projection(content / content.norm())
        if dataset.popularity[item]:
            expected = expected + vectors.dense[item]
        torch.testing.assert_close(table[item], expected)


def test_an_item_never_seen_in_training_has_its_codes_alone() -> None:
    """Items 3 and 4 share their codes; item 4 is only a test item."""
    data = dataset_of([[0, 1, 2, 3, 1, 4]], 5, codes=[[0, 1], [1, 1], [2, 0], [1, 0], [1, 0]])
    table = ItemVectors(data, ("codes", "dense"), 8)()
    codes_only = ItemVectors(data, ("codes",), 8)
    assert not torch.equal(table[3], table[4])
    torch.manual_seed(0)
    both = ItemVectors(data, ("codes", "dense"), 8)
    codes_only.levels = both.levels
    torch.testing.assert_close(both()[4], codes_only()[4])
    assert ItemVectors(data, ("dense",), 8)()[4].abs().sum() > 0


def test_a_new_item_has_the_vector_of_its_codes(dataset: SequenceDataset) -> None:
    """Its vector is that of an item of the catalogue with these codes and no events."""
    assert dataset.codes is not None
    unseen = (dataset.popularity == 0).nonzero()[0]
    codes = torch.from_numpy(dataset.codes[unseen].astype("int64"))
    for parts in [("codes",), ("codes", "dense")]:
        vectors = ItemVectors(dataset, parts, 16)
        before = vectors()
        vectors.extend(codes)
        torch.testing.assert_close(vectors(), torch.cat([before, before[unseen]]))
        assert not vectors.needs_content


def test_unusable_parts_are_refused() -> None:
    bare = dataset_of([[0, 1, 2, 3]], 4)
    for parts, message in [
        (("codes",), "no codes"),
        (("content",), "no content vectors"),
        (("title",), "title; choose from dense, codes, prefixes, content"),
        ((), "none; choose"),
    ]:
        with pytest.raises(InputError, match=message):
            ItemVectors(bare, parts, 8)
    with pytest.raises(InputError, match="two codes or more"):
        ItemVectors(dataset_of([[0, 1, 2, 3]], 4, [[0], [1], [2], [3]]), ("prefixes",), 8)


def test_first_vectors_are_maps_of_codewords(dataset: SequenceDataset) -> None:
    """An item's first vector is the linear map of the sum of its codewords."""
    assert dataset.codes is not None
    books = np.random.default_rng(0).normal(size=(3, 16, 5)).astype(np.float32)
    vectors = ItemVectors(replace(dataset, codebooks=books), ("codes",), 8)
    assert vectors.levels is not None
    assert vectors.meaning is not None
    codes = dataset.codes.astype(int)
    sums = torch.from_numpy(books[[0, 1, 2], codes].sum(1))
    learnt = ItemVectors(dataset, ("codes",), 8)
    learnt.levels = vectors.levels
    expected = learnt() + vectors.meaning(sums / sums.norm(dim=1).mean())
    torch.testing.assert_close(vectors(), expected)


def test_a_prefix_not_seen_in_training_adds_nothing() -> None:
    """Item 4 is only a test item; it shares two codes with item 3, and three with no item."""
    codes = [[0, 1, 0], [1, 1, 0], [2, 0, 1], [1, 0, 1], [1, 0, 0]]
    data = dataset_of([[0, 1, 2, 3, 1, 4]], 5, codes)
    vectors = ItemVectors(data, ("prefixes",), 8)
    assert vectors.prefixes is not None
    table = vectors.prefixes.table
    known = vectors.prefixes.get_buffer("known").tolist()
    pairs, triples = [n for n in known if n < 9], [n for n in known if n >= 9]
    assert len(pairs) == len({(c[0], c[1]) for c in codes[:4]}) == 4
    assert len(triples) == 4
    pair = table[known.index(1 * 3 + 0)]
    torch.testing.assert_close(vectors()[4], pair)
    torch.testing.assert_close(vectors()[3], pair + table[known.index(9 + 1 * 9 + 0 * 3 + 1)])
    before = vectors()
    both = ItemVectors(data, ("codes", "prefixes"), 8)
    before = both()
    both.extend(torch.tensor([[2, 2, 2], [1, 0, 1]]))
    torch.testing.assert_close(both()[:5], before)
    torch.testing.assert_close(both()[6], before[3])
    assert both.levels is not None
    torch.testing.assert_close(both()[5], both.levels[[2, 5, 8]].sum(0))
