"""Records of comparisons: kept for what they were made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import stdtr

from data_prep.errors import InputError
from tests.conftest import SMALL
from tokenizer.study.comparison import compare, summarise
from tokenizer.study.items import StudyItems

RUNS = [("grit", replace(SMALL, steps=2, warmup_steps=1))]


def items_of(vectors: NDArray[np.float32]) -> StudyItems:
    return StudyItems(vectors, ("",) * len(vectors), "digest")


def test_a_record_of_other_vectors_of_the_catalogue_is_made_anew(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    """Another encoder gives other vectors of the same file."""
    first = compare(tmp_path, items_of(vectors), RUNS)
    again = compare(tmp_path, items_of(vectors), RUNS)
    assert again[0]["encode_items_per_second"] == first[0]["encode_items_per_second"]
    other = compare(tmp_path, items_of(vectors[:, ::2]), RUNS)
    assert other[0]["parameters"] < first[0]["parameters"]


@pytest.mark.parametrize(
    ("count", "message"), [(1, "1 item is too few"), (40, "all items have the same vector")]
)
def test_vectors_that_tell_nothing_apart_are_refused(
    count: int, message: str, tmp_path: Path
) -> None:
    same = np.ones((count, 8), dtype=np.float32)
    with pytest.raises(InputError, match=message):
        compare(tmp_path, items_of(same), RUNS)


def test_rows_are_told_apart_on_the_same_held_out_items(
    vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    """Against the row of the lowest validation error, paired over the items of all seeds."""
    quick = replace(SMALL, steps=20, warmup_steps=10, separation=0.0)
    worse = replace(quick, autoencoder=replace(SMALL.autoencoder, latent=2))
    runs = [
        (name, replace(config, seed=seed))
        for name, config in (("worse", worse), ("again", quick), ("best", quick))
        for seed in (0, 1)
    ]
    records = compare(tmp_path, items_of(vectors), runs)
    rows = {row["name"]: row for row in summarise(records)}
    assert list(rows)[-1] == "worse"
    assert rows["again"]["held_out_p"] is None
    assert rows["best"]["held_out_p"] == 1
    ours, theirs = (
        np.concatenate([r["held_out_losses"] for r in records if r["name"] == name])
        for name in ("worse", "again")
    )
    gap = ours - theirs
    t = gap.mean() / (gap.std(ddof=1) / len(gap) ** 0.5)
    assert t > 3
    assert rows["worse"]["held_out_p"] == pytest.approx(2 * stdtr(len(gap) - 1, -t))
    corrected = [rows[name]["held_out_p_holm"] for name in ("again", "best", "worse")]
    assert corrected == [None, 1, pytest.approx(2 * rows["worse"]["held_out_p"])]
    fewer = summarise(records[:-1])
    assert [row["name"] for row in fewer] == ["again", "worse", "best"]  # those with more seeds
    assert fewer[-1]["held_out_p"] == 1  # over the seed that both have
    alone = summarise([record for record in records if record["name"] == "best"][1:] + records[:1])
    assert [row["held_out_p"] for row in alone] == [None, None]  # no seed in common
