import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import InputError
from tokenizer.ids.semantic_id import (
    assign_suffixes,
    codes_key,
    codes_of_key,
    format_semantic_id,
    parse_prefix,
)

CODES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 65_535)), max_size=60)


def test_ids_as_text() -> None:
    assert format_semantic_id([12, 240, 3, 77]) == "12-240-3-77"
    assert format_semantic_id([12, 240, 3, 77], 1) == "12-240-3-77-1"


def test_prefixes_are_read_back() -> None:
    assert parse_prefix("12-240", 4, 256) == (12, 240)
    for text, said in (
        ("12-", "not codes joined by '-'"),
        ("a", "not codes"),
        ("1-2-3-4-5", "5 codes; this tokenizer has 4 levels"),
        ("1-256", "code 256 of level 2 is beyond 0…255"),
        ("9" * 5000, "beyond 0…255"),
    ):
        with pytest.raises(InputError, match=said):
            parse_prefix(text, 4, 256)


@given(CODES)
def test_keys_keep_the_order_of_codes_and_unpack(rows: list[tuple[int, int]]) -> None:
    codes = np.asarray(rows, dtype=np.uint16).reshape(-1, 2)
    keys = codes_key(codes)
    assert np.array_equal(codes_of_key(keys, 2), codes)
    assert sorted(keys) == codes_key(np.asarray(sorted(rows), dtype=np.uint16).reshape(-1, 2))


@given(CODES, st.integers(0, 60))
def test_suffixes_make_ids_unique_and_arriving_in_parts_changes_none(
    rows: list[tuple[int, int]], cut: int
) -> None:
    codes = np.asarray(rows, dtype=np.uint16).reshape(-1, 2)
    whole = assign_suffixes(codes, {})
    ids = {format_semantic_id(row, int(suffix)) for row, suffix in zip(rows, whole, strict=True)}
    assert len(ids) == len(rows)
    following: dict[bytes, int] = {}
    parts = [assign_suffixes(part, following) for part in (codes[:cut], codes[cut:])]
    assert np.array_equal(np.concatenate(parts), whole)
