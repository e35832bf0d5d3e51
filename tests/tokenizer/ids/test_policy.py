"""Free codes: unique, never changed later, and the nearest, against a search of all codes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.policy import TakenCodes, assign_free
from tokenizer.ids.semantic_id import Codes, codes_key, codes_of_key

LEVELS, SIZE = 3, 3
SPACE = list(product(range(SIZE), repeat=LEVELS))
# Whole numbers, so that distances are exact and many are equal.
NUMBERS = st.lists(st.integers(-2, 2), min_size=LEVELS * SIZE * 2, max_size=LEVELS * SIZE * 2).map(
    lambda values: np.asarray(values, dtype=np.float32).reshape(LEVELS, SIZE, 2)
)
ITEMS = st.lists(
    st.tuples(st.sampled_from(SPACE[:6]), st.tuples(st.integers(-3, 3), st.integers(-3, 3))),
    max_size=len(SPACE),
)
Arrivals = list[tuple[tuple[int, ...], tuple[int, int]]]


def _arrays(rows: Arrivals) -> tuple[Codes, NDArray[np.float32]]:
    codes = np.asarray([codes for codes, _ in rows], dtype=np.uint16).reshape(-1, LEVELS)
    return codes, np.asarray([latent for _, latent in rows], dtype=np.float32).reshape(-1, 2)


def _rank(
    candidate: tuple[int, ...],
    own: tuple[int, ...],
    latent: tuple[int, int],
    codebooks: NDArray[np.float32],
) -> tuple[int, list[tuple[float, int]]]:
    """Order candidates: first by the codes they keep, then by distance level after level."""
    kept = next((n for n in range(LEVELS) if candidate[n] != own[n]), LEVELS)
    residual = np.asarray(latent, dtype=np.float64)
    steps = []
    for level, code in enumerate(candidate):
        residual = residual - codebooks[level, code]
        steps.append((float(residual @ residual), code))
    return -kept, steps[kept:]


@given(NUMBERS, ITEMS)
def test_each_item_gets_the_nearest_free_codes(
    codebooks: NDArray[np.float32], rows: Arrivals
) -> None:
    found = assign_free(*_arrays(rows), codebooks, TakenCodes())
    free = set(SPACE)
    for (own, latent), got in zip(rows, found.tolist(), strict=True):
        expected = min(free, key=lambda codes: _rank(codes, own, latent, codebooks))
        assert tuple(got) == expected
        free.remove(expected)


@given(NUMBERS, ITEMS, st.integers(1, 9))
def test_arriving_in_parts_changes_no_codes(
    codebooks: NDArray[np.float32], rows: Arrivals, size: int
) -> None:
    """In one process, and where each part knows of the ones before only what it is told."""
    codes, latents = _arrays(rows)
    whole = assign_free(codes, latents, codebooks, TakenCodes())
    assert len(set(codes_key(whole))) == len(rows)
    kept = TakenCodes()
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        before = codes_key(whole[:start])
        own = set(codes_key(codes[part]))

        def full_below(
            prefix: tuple[int, ...], room: int, before: list[bytes] = before
        ) -> list[bytes]:
            given = codes_of_key(before, LEVELS).tolist()
            longer = [(*prefix, code) for code in range(SIZE)]
            counts = [sum(tuple(c[: len(node)]) == node for c in given) for node in longer]
            full = [node for node, n in zip(longer, counts, strict=True) if n == room]
            return codes_key(np.asarray(full, np.uint16).reshape(-1, len(prefix) + 1))

        for taken in (kept, TakenCodes(before), TakenCodes(own & set(before), full_below)):
            got = assign_free(codes[part], latents[part], codebooks, taken)
            assert np.array_equal(got, whole[part])


def test_the_last_code_goes_and_then_none_is_left() -> None:
    codebooks = np.random.default_rng(0).normal(size=(LEVELS, SIZE, 2)).astype(np.float32)
    codes = np.zeros((len(SPACE), LEVELS), dtype=np.uint16)
    latents = np.ones((len(SPACE), 2), dtype=np.float32)
    taken = TakenCodes()
    given = assign_free(codes, latents, codebooks, taken)
    assert {tuple(row) for row in given.tolist()} == set(SPACE)
    assert given[:SIZE, :2].max() == 0  # the first ones keep their prefix
    with pytest.raises(InputError, match=r"codes 0-0-0 are taken.*3\^3.*--levels"):
        assign_free(codes[:1], latents[:1], codebooks, taken)
