"""Items that are there twice are named, and those with IDs are found, in any number of buckets."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.parts.table import Parts
from data_prep.parts.unique_rows import new_rows


def _parts(folder: Path, ids: list[object]) -> Parts:
    folder.mkdir()
    half = len(ids) // 2
    pl.DataFrame({"sku": ids[:half]}).write_parquet(folder / "a.parquet")
    pl.DataFrame({"sku": ids[half:]}).write_parquet(folder / "b.parquet")
    return Parts.of(str(folder))


@pytest.mark.parametrize("most", [10, 3000, 10**6])
def test_rows_of_known_items_are_not_new(tmp_path: Path, most: int) -> None:
    table = _parts(tmp_path / "items", [f"i{row}" for row in range(2000)])
    known = pl.Series([f"i{row}" for row in range(1, 4000, 2)])
    chunks = [known.head(700), known.slice(700)]
    found = new_rows(table, "sku", chunks, len(known), tmp_path, most)
    assert np.array_equal(np.flatnonzero(found), np.arange(0, 2000, 2))


@pytest.mark.parametrize("most", [10, 10**6])
def test_an_item_in_two_files_is_named_with_both_places(tmp_path: Path, most: int) -> None:
    table = _parts(tmp_path / "items", [*range(100), 41])
    said = r"item '41' is there 2 times: .*a\.parquet, row 42; and .*b\.parquet, row 51"
    with pytest.raises(InputError, match=said):
        new_rows(table, "sku", (), 0, tmp_path, most)


def test_an_empty_id_is_named_by_its_place(tmp_path: Path) -> None:
    table = _parts(tmp_path / "items", ["a", "b", "c", " "])
    with pytest.raises(InputError, match=r"b\.parquet, row 2: no 'sku'"):
        new_rows(table, "sku", (), 0, tmp_path)
    with pytest.raises(InputError, match=r"no column 'item_id'.*--column item_id=NAME"):
        new_rows(table, "item_id", (), 0, tmp_path)
