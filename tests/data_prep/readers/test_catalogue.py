import gzip
from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.readers.catalogue import read_items, read_vectors


def test_every_format_gives_the_same_items(tmp_path: Path) -> None:
    items = pl.DataFrame({"item_id": ["007", "b"], "title": ["A, x", "é"], "price": [1.5, None]})
    items.write_parquet(tmp_path / "i.parquet")
    items.write_csv(tmp_path / "i.csv")
    items.write_ndjson(tmp_path / "i.jsonl")
    (tmp_path / "i.jsonl.gz").write_bytes(gzip.compress((tmp_path / "i.jsonl").read_bytes()))
    (tmp_path / "i.csv.gz").write_bytes(gzip.compress((tmp_path / "i.csv").read_bytes()))
    read = [read_items(path) for path in sorted(tmp_path.iterdir())]
    assert len(read) == 5
    assert all(frame.equals(read[0]) for frame in read)
    assert read[0]["item_id"].to_list() == ["007", "b"]


def test_columns_are_mapped_and_category_text_is_split(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("sku,name,title,path\n1,Soap,ignored,Beauty > Bath >\n2,Mug,,\n")
    items = read_items(path, {"item_id": "sku", "title": "name", "categories": "path"})
    assert items["title"].to_list() == ["Soap", "Mug"]
    assert items["categories"].to_list() == [["Beauty", "Bath"], None]


def test_nested_categories_keep_the_first_path(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text('{"item_id": "a", "categories": [["x", "y"], ["z"]]}\n')
    assert read_items(path)["categories"].to_list() == [["x", "y"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("i.csv", "", "empty"),
        ("i.csv", "item_id,title\n", "no items"),
        ("i.jsonl", "", "empty"),
        ("i.jsonl", '{"item_id": "a"}\n\n{"item_id": \n', "line 3: not JSON"),
        ("i.jsonl", "[1]\n", "line 1: an object"),
        ("i.parquet", "not parquet", "not a readable parquet"),
        ("i.jsonl.gz", "not gzip", "not a readable gzip"),
        ("i.xlsx", "x", "unknown format"),
        ("i.csv", "sku\n1\n", "no column 'item_id'"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said) as refusal:
        read_items(tmp_path / name)
    assert name in str(refusal.value)


def test_missing_files_folders_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_items(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        read_items(tmp_path)
    (tmp_path / "i.csv").write_text("sku\n1\n")
    with pytest.raises(InputError, match="no column 'code' to read as 'item_id'; it has sku"):
        read_items(tmp_path / "i.csv", {"item_id": "code"})


def test_vectors_need_their_column(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": ["a"]}).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(InputError, match="no column 'vector'"):
        read_vectors(tmp_path / "v.parquet")
