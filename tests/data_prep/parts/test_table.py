"""Tables in parts: what is found, in which order, and what is refused."""

import sys
from pathlib import Path

import fsspec
import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.parts.table import Parts

ROWS = pl.DataFrame({"item_id": [f"i{row}" for row in range(100)], "price": [1.0] * 100})


def _folder(folder: Path) -> Path:
    (folder / "b").mkdir(parents=True)
    ROWS.head(40).write_parquet(folder / "a.parquet", row_group_size=16)
    ROWS.slice(40).write_parquet(folder / "b" / "z.parquet", row_group_size=25)
    (folder / "_SUCCESS").touch()
    (folder / "_temporary").mkdir()
    ROWS.write_parquet(folder / "_temporary" / "half.parquet")
    (folder / ".hidden.parquet").write_bytes(b"no parquet")
    return folder


def _all(table: Parts, size: int = 7) -> pl.DataFrame:
    return pl.concat(table.batches(0, table.rows, size))


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    table = Parts.of(str(_folder(tmp_path)))
    assert [file.groups for file in table.files] == [(16, 16, 8), (25, 25, 10)]
    assert _all(table).equals(ROWS)
    assert table.place(40) == f"{tmp_path}/b/z.parquet, row 1"


@pytest.mark.parametrize(("first", "end"), [(0, 100), (3, 5), (15, 41), (39, 40), (64, 66)])
def test_any_rows_are_read(tmp_path: Path, first: int, end: int) -> None:
    table = Parts.of(str(_folder(tmp_path)))
    read = pl.concat(table.batches(first, end, 10, ["item_id"]))
    assert read.equals(ROWS.select("item_id").slice(first, end - first))


def test_pieces_are_whole_row_groups(tmp_path: Path) -> None:
    table = Parts.of(str(_folder(tmp_path)))
    assert table.cuts(40) == [(0, 40), (40, 65), (65, 100)]
    assert table.cuts(1) == [(0, 16), (16, 32), (32, 40), (40, 65), (65, 90), (90, 100)]
    inside = table.cuts(9, inside=True)
    assert all(0 < end - first <= 9 for first, end in inside)
    assert [first for first, _ in inside] == [0, *(end for _, end in inside[:-1])]
    assert inside[-1][1] == 100


def test_patterns_and_hive_partitions(tmp_path: Path) -> None:
    for number, kind in enumerate(("Beauty", "Toys")):
        (tmp_path / f"kind={kind}").mkdir()
        ROWS.slice(50 * number, 50).write_parquet(tmp_path / f"kind={kind}" / "0.parquet")
    table = Parts.of(str(tmp_path))
    read = _all(table)
    assert table.columns == ("item_id", "price", "kind")
    assert read["kind"].to_list() == ["Beauty"] * 50 + ["Toys"] * 50
    assert read.drop("kind").equals(ROWS)
    some = Parts.of(f"{tmp_path}/kind=T*/*.parquet")
    assert _all(some)["item_id"].to_list() == ROWS["item_id"].to_list()[50:]


def test_a_bucket_is_read_as_a_folder() -> None:
    system = fsspec.filesystem("memory")
    for number in range(2):
        with system.open(f"/shop/items/{number}.parquet", "wb") as file:
            ROWS.slice(50 * number, 50).write_parquet(file)
    try:
        table = Parts.of("memory://shop/items")
        assert _all(table).equals(ROWS)
        assert table.files[1].url == "memory:///shop/items/1.parquet"
    finally:
        system.rm("/shop", recursive=True)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _folder(tmp_path / "items")
    whole = (folder / "b" / "z.parquet").read_bytes()
    cases: list[tuple[bytes, str]] = [(whole[:-9], "z.parquet is no whole parquet file")]
    for columns in (
        {"item_id": ["a"], "price": ["cheap"]},
        {"item_id": ["a"]},
        {"item_id": ["a"], "price": [1.0], "brand": ["b"]},
    ):
        other = tmp_path / "other.parquet"
        pl.DataFrame(columns).write_parquet(other)
        cases.append((other.read_bytes(), "all files of a table need the same columns"))
    for content, said in cases:
        (folder / "b" / "z.parquet").write_bytes(content)
        with pytest.raises(InputError, match=said):
            Parts.of(str(folder))
    with pytest.raises(InputError, match="does not exist"):
        Parts.of(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no \.parquet file"):
        Parts.of(f"{tmp_path}/*.csv")
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(InputError, match="pip install s3fs"):
        Parts.of("s3://bucket/items")


def test_a_file_that_changes_between_two_reads_is_told(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    ROWS.write_parquet(path)
    table = Parts.of(str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged or has changed"):
        _all(table)
