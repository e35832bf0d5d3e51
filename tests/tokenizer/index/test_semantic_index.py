import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from tokenizer.index.semantic_index import SemanticIndex, faiss_build
from tokenizer.pipeline import Pipeline


@pytest.mark.parametrize(("levels", "size", "stored"), [(4, 256, 4), (3, 32, 2), (2, 300, 3)])
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


def test_the_build_says_which_it_is() -> None:
    assert faiss_build().startswith("faiss 1.")
