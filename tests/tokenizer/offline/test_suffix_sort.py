"""Suffixes by sorting are those of counting, for any number of buckets and any width of codes."""

from pathlib import Path

import numpy as np
import pytest

from tokenizer.ids.semantic_id import assign_suffixes, codes_key
from tokenizer.offline.suffix_sort import SuffixSort


@pytest.mark.parametrize(("levels", "size", "drawn"), [(3, 256, 5), (9, 65_536, 2), (1, 2, 2)])
@pytest.mark.parametrize("most", [100, 10**6])
@pytest.mark.parametrize("known", [0, 700])
def test_suffixes_are_those_of_counting(
    tmp_path: Path, levels: int, size: int, drawn: int, most: int, known: int
) -> None:
    rng = np.random.default_rng(0)
    codes = (size - 1 - rng.integers(0, drawn, (3000, levels))).astype(np.uint16)
    following: dict[bytes, int] = {}
    expected = assign_suffixes(codes, following)
    if known:  # IDs that were given before, some with a gap before them
        expected[:known] += np.uint32(3)
        following = {}
        for key, suffix in zip(codes_key(codes[:known]), expected[:known].tolist(), strict=True):
            following[key] = max(following.get(key, 0), suffix + 1)
        expected[known:] = assign_suffixes(codes[known:], following)
    sort = SuffixSort(tmp_path, levels, size, 3000 - known, known, most)
    if known:
        mixed = rng.permutation(known)
        sort.add_known(codes[:known][mixed], expected[:known][mixed])
    for first in range(known, 3000, 900):
        sort.add(codes[first : min(first + 900, 3000)])
    assert np.array_equal(sort.suffixes(), expected[known:])
    assert expected.max() > 3


def test_no_rows(tmp_path: Path) -> None:
    sort = SuffixSort(tmp_path, 4, 256, 0)
    assert len(sort.suffixes()) == 0
