"""IDs and users ↔ tokens, and the errors."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import InputError
from recsys.generation.valid_ids.vocabulary import END, PADDING, Vocabulary

VOCABULARIES = st.builds(
    Vocabulary,
    levels=st.integers(1, 5),
    codebook_size=st.integers(1, 300),
    suffixes=st.integers(0, 9),
    user_buckets=st.integers(0, 20),
)


@given(VOCABULARIES, st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_ids_come_back_and_each_position_has_tokens_of_its_own(
    vocabulary: Vocabulary, items: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, vocabulary.codebook_size, (items, vocabulary.levels)).astype(np.uint16)
    suffixes = rng.integers(0, max(1, vocabulary.suffixes), items).astype(np.uint32)
    tokens = vocabulary.encode(codes, suffixes)
    assert tokens.shape == (items, vocabulary.length)
    back, suffixes_back = vocabulary.decode(tokens)
    assert np.array_equal(back, codes)
    assert np.array_equal(suffixes_back, suffixes)
    assert [str(x.dtype) for x in (tokens, back, suffixes_back)] == ["int64", "uint16", "uint32"]
    ranges = [
        range(vocabulary.first(n), vocabulary.first(n) + vocabulary.width(n))
        for n in range(vocabulary.length)
    ]
    every = [PADDING, END, *range(2, 2 + vocabulary.user_buckets)]
    every += [token for tokens_of_one in ranges for token in tokens_of_one]
    assert every == list(range(vocabulary.size))


def test_more_suffixes_move_no_token() -> None:
    codes = np.asarray([[3, 1], [3, 1]], dtype=np.uint16)
    suffixes = np.asarray([0, 4], dtype=np.uint32)
    few = Vocabulary.for_suffixes(2, 8, suffixes, headroom=0)
    more = Vocabulary.for_suffixes(2, 8, suffixes, headroom=30)
    assert (few.suffixes, more.suffixes) == (5, 35)
    assert np.array_equal(few.encode(codes, suffixes), more.encode(codes, suffixes))


def test_without_suffixes_an_item_is_its_codes() -> None:
    vocabulary = Vocabulary(levels=3, codebook_size=4, suffixes=0, user_buckets=0)
    tokens = vocabulary.encode(np.asarray([[3, 0, 1]], dtype=np.uint16))
    assert tokens.tolist() == [[2 + 3, 2 + 4, 2 + 8 + 1]]
    assert vocabulary.decode(tokens)[1].tolist() == [0]


def test_users_have_the_same_token_in_every_process() -> None:
    vocabulary = Vocabulary(2, 8, user_buckets=50)
    users = [f"user {number}" for number in range(400)] + ["Jürgen", ""]
    tokens = vocabulary.user_tokens(users)
    assert set(tokens.tolist()) == set(range(2, 52))
    program = (
        "from recsys.generation.valid_ids.vocabulary import Vocabulary\n"
        "print(Vocabulary(2, 8, user_buckets=50).user_tokens(['user 7', 'Jürgen']).tolist())"
    )
    other = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert other.stdout.decode().strip() == str([int(tokens[7]), int(tokens[400])])
    assert vocabulary.user_tokens([]).shape == (0,)
    with pytest.raises(InputError, match="no user tokens"):
        Vocabulary(2, 8, user_buckets=0).user_tokens(users)


@pytest.mark.parametrize(
    ("codes", "suffixes", "said"),
    [
        ([[1, 2, 3]], None, r"shape \(1, 3\); \(n, 2\)"),
        ([[1, 2]], [0, 0], r"shape \(2,\) beside 1 rows"),
        ([[0.5, 1]], None, "codes of type float64"),
        ([[1, 2], [1, 8]], None, "row 1: code 8 of level 2 is beyond 0…7"),
        ([[-1, 2]], None, "row 0: code -1 of level 1"),
        ([[1, 2], [1, 2]], [0, 3], "row 1: suffix 3, but this vocabulary has the suffixes 0…2"),
    ],
)
def test_ids_without_tokens_are_refused(codes: Any, suffixes: Any, said: str) -> None:
    given = None if suffixes is None else np.asarray(suffixes)
    with pytest.raises(InputError, match=said):
        Vocabulary(2, 8, suffixes=3).encode(np.asarray(codes), given)


def test_a_suffix_is_refused_where_none_is_kept() -> None:
    with pytest.raises(InputError, match=r"row 1: suffix 1, .* has none"):
        Vocabulary(1, 8).encode(np.zeros((2, 1), dtype=np.uint16), np.asarray([0, 1]))


def test_tokens_outside_their_positions_range_are_refused() -> None:
    vocabulary = Vocabulary(2, 8, suffixes=3, user_buckets=0)
    with pytest.raises(InputError, match="row 1: token 9 at position 1 is beyond 10…17"):
        vocabulary.decode(np.asarray([[2, 10, 18], [2, 9, 18]]))
    with pytest.raises(InputError, match="row 0: token 21 at position 2 is beyond 18…20"):
        vocabulary.decode(np.asarray([[2, 10, 21]]))
    with pytest.raises(InputError, match=r"\(n, 3\) are needed"):
        vocabulary.decode(np.asarray([[2, 10]]))


def test_an_impossible_vocabulary_is_refused() -> None:
    for sizes, said in (
        ({"levels": 0, "codebook_size": 8}, "levels is 0; it must be at least 1"),
        ({"levels": 1, "codebook_size": 8, "suffixes": -1}, "suffixes is -1"),
        ({"levels": 1, "codebook_size": 2**31}, "a vocabulary of 2147485650 tokens"),
    ):
        with pytest.raises(InputError, match=said):
            Vocabulary(**sizes)
