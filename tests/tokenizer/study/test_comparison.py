"""Records of comparisons: kept for what they were made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from tests.conftest import SMALL
from tokenizer.study.comparison import compare

RUNS = [("grit", replace(SMALL, steps=2, warmup_steps=1))]


def test_a_record_of_other_vectors_of_the_catalogue_is_made_anew(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    """Another encoder gives other vectors of the same file."""
    labels = [""] * len(vectors)
    first = compare(tmp_path, vectors, labels, RUNS, "digest")
    again = compare(tmp_path, vectors, labels, RUNS, "digest")
    assert again[0]["encode_items_per_second"] == first[0]["encode_items_per_second"]
    other = compare(tmp_path, vectors[:, ::2], labels, RUNS, "digest")
    assert other[0]["parameters"] < first[0]["parameters"]


@pytest.mark.parametrize(
    ("count", "message"), [(1, "1 item is too few"), (40, "all items have the same vector")]
)
def test_vectors_that_tell_nothing_apart_are_refused(
    count: int, message: str, tmp_path: Path
) -> None:
    same = np.ones((count, 8), dtype=np.float32)
    with pytest.raises(InputError, match=message):
        compare(tmp_path, same, [""] * count, RUNS, "digest")
