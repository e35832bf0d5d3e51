from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from tokenizer.index.semantic_index import Probing, SemanticIndex, faiss_build
from tokenizer.pipeline import Pipeline


@pytest.mark.parametrize(("levels", "size", "stored"), [(4, 256, 4), (3, 32, 3), (2, 300, 3)])
def test_it_finds_what_the_exact_index_over_decoded_vectors_finds(
    levels: int, size: int, stored: int
) -> None:
    rng = np.random.default_rng(0)
    codebooks = rng.standard_normal((levels, size, 16)).astype(np.float32)
    codes = rng.integers(0, size, (3000, levels)).astype(np.uint16)
    decoded = codebooks[np.arange(levels), codes].sum(1)
    exact = faiss.IndexFlatL2(16)
    exact.add(decoded)
    index = SemanticIndex(codebooks)
    index.add(np.arange(1000, dtype=np.int64) + 5, codes[:1000])
    index.add(np.arange(1000, 3000, dtype=np.int64) + 5, codes[1000:])
    queries = rng.standard_normal((40, 16)).astype(np.float32) * 2
    keys, distances = index.search(queries, 10)
    expected_distances, expected = exact.search(queries, 10)
    assert np.allclose(distances, expected_distances, rtol=1e-4)
    for query, found, others in zip(queries, keys - 5, expected, strict=True):
        assert len(set(found.tolist())) == 10
        near, nearest = (np.square(decoded[rows] - query).sum(1) for rows in (found, others))
        assert np.allclose(near, nearest, rtol=1e-4)  # of two as near either may come first
    assert (len(index), index.bytes_per_item) == (3000, stored)


def test_an_item_is_nearest_to_its_own_codes(
    pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    codes = pipeline.tokenize(vectors).codes
    index = SemanticIndex(pipeline.codebooks)
    index.add(np.arange(len(codes), dtype=np.int64), codes)
    _, distances = index.search(pipeline.latents_of_codes(codes[:50]), 1)
    assert np.allclose(distances, 0, atol=1e-3)


def test_few_items_fill_the_rest_with_minus_one() -> None:
    index = SemanticIndex(np.ones((1, 2, 3), dtype=np.float32))
    index.add(np.asarray([9], dtype=np.int64), np.zeros((1, 1), dtype=np.uint16))
    assert index.search(np.ones((1, 3), dtype=np.float32), 3)[0].tolist() == [[9, -1, -1]]


def _clustered(items: int) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Return codebooks whose levels get finer, and codes that few prefixes share."""
    rng = np.random.default_rng(1)
    scales = np.asarray([3, 1, 0.4, 0.2], np.float32)[:, None, None]
    codebooks = rng.standard_normal((4, 64, 8)).astype(np.float32) * scales
    codes = rng.integers(0, 64, (items, 4)).astype(np.uint16)
    codes[:, :2] = codes[rng.integers(0, 300, items), :2]
    return codebooks, codes


def test_many_items_are_searched_in_some_lists_with_the_recall_that_is_told() -> None:
    codebooks, codes = _clustered(30_000)
    index = SemanticIndex(codebooks, exact_below=20_000)
    index.add(np.arange(15_000), codes[:15_000])
    assert index.probing == Probing()
    index.add(np.arange(15_000, 30_000), codes[15_000:])
    assert 0 < index.probing.lists < index.lists <= 300
    assert index.probing.recall >= 0.99
    queries = codebooks[np.arange(4), codes[:1000:10]].sum(1)
    _, all_lists = index.search(queries, 10, exact=True)
    _, some = index.search(queries, 10)
    assert (some <= all_lists[:, -1:] + 1e-5).mean() >= 0.98
    flat = faiss.IndexFlatL2(8)
    flat.add(codebooks[np.arange(4), codes].sum(1))
    assert np.allclose(all_lists, flat.search(queries, 10)[0], atol=1e-4)


def test_the_number_of_lists_is_measured_again_when_items_have_doubled() -> None:
    codebooks, codes = _clustered(3000)
    index = SemanticIndex(codebooks, exact_below=500)
    measured = []
    for first in range(0, 3000, 250):
        index.add(np.arange(first, first + 250), codes[first : first + 250])
        measured.append(index.probing.items)
    assert sorted(set(measured)) == [0, 500, 1000, 2000]
    later = SemanticIndex(codebooks, exact_below=500)
    for first in range(0, 3000, 250):
        rows = slice(first, first + 250)
        later.add(np.arange(first, first + 250), codes[rows], measure=False)
        assert later.probing == Probing()
    later.measure_if_grown()
    assert later.probing.items == 3000


@pytest.mark.parametrize("size", [64, 300])
def test_removed_items_are_not_found_and_may_come_again(size: int) -> None:
    rng = np.random.default_rng(0)
    codebooks = rng.standard_normal((2, size, 4)).astype(np.float32)
    codes = rng.integers(0, 3, (600, 2)).astype(np.uint16)
    index = SemanticIndex(codebooks)
    index.add(np.arange(600) + 7, codes)
    gone = np.arange(0, 600, 2) + 7
    index.remove(np.concatenate([gone, [1, 10**6]]))
    assert len(index) == 300
    everything = index.search(codebooks[0][:1], 600)[0][0]
    assert set(everything[everything >= 0].tolist()) == set(range(8, 608, 2))
    index.add(gone, codes[::2])
    kept, packed = index.contents()
    assert sorted(kept.tolist()) == list(range(7, 607))
    again = SemanticIndex(codebooks)
    again.add_packed(kept, packed, Probing(5, 0.99, 600))
    assert (len(again), again.probing.items) == (600, 600)
    query = codebooks[:, 1].sum(0)[None]
    assert np.array_equal(np.sort(again.search(query, 9)[1]), np.sort(index.search(query, 9)[1]))


def test_searches_run_while_another_thread_adds_and_removes() -> None:
    codebooks, codes = _clustered(4000)
    index = SemanticIndex(codebooks)
    index.add(np.arange(2000), codes[:2000])
    query = codebooks[np.arange(4), codes[5]].sum(0)[None]

    def change(_: int) -> None:
        for first in range(2000, 4000, 100):
            keys = np.arange(first, first + 100)
            index.add(keys, codes[first : first + 100])
            index.remove(keys)

    with ThreadPoolExecutor(4) as pool:
        changing = pool.submit(change, 0)
        while not changing.done():
            for keys, distances in pool.map(lambda _: index.search(query, 3), range(8)):
                assert keys[0, 0] >= 0
                assert distances[0, 0] == pytest.approx(0, abs=1e-5)
        changing.result()
    assert len(index) == 2000


def test_the_build_says_which_it_is() -> None:
    assert faiss_build().startswith("faiss 1.")
