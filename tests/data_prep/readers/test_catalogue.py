import gzip
import json
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
        ("i.xlsx", "x", "not a readable workbook"),
        ("i.pdf", "x", "unknown format"),
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


def _lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_ids_of_one_column_are_text_as_written(tmp_path: Path) -> None:
    numbers = (7, 8.0, 2**53 + 1, 10**30, "007")
    path = _lines(tmp_path / "i.jsonl", *({"item_id": number} for number in numbers))
    assert read_items(path)["item_id"].to_list() == [
        "7",
        "8",
        "9007199254740993",
        "1" + 30 * "0",
        "007",
    ]


def test_values_of_one_meaning_in_several_types_are_all_read(tmp_path: Path) -> None:
    paths: list[object] = [[["Beauty", "Hands"]], ["Beauty", "Hands"], "Beauty > Hands"]
    brands: list[object] = [{"name": "Avila", "url": "x"}, "Avila", 7]
    rows = [
        {"item_id": n, "categories": path, "brand": brand, "tags": tags}
        for n, (path, brand, tags) in enumerate(
            zip(paths, brands, [{"a": 1}, {"b": 2, "a": 1}, None], strict=True)
        )
    ]
    items = read_items(_lines(tmp_path / "i.jsonl", *rows))
    assert items["categories"].to_list() == [["Beauty", "Hands"]] * 3
    assert items["brand"].to_list() == ["Avila > x", "Avila", "7"]
    assert items["tags"].to_list() == ["1", "2 > 1", None]


def test_whole_numbers_beside_others_stay_whole(tmp_path: Path) -> None:
    rows = [{"item_id": "a", "title": [2.5, 42], "size": 2.5}, {"item_id": 7, "size": 42}]
    items = read_items(_lines(tmp_path / "i.jsonl", *rows))
    assert items["title"].to_list() == ["2.5 > 42", None]
    assert items["size"].to_list() == ["2.5", "42"]


def test_lists_written_in_a_cell_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_text('item_id,categories\n1,"[\'Food\', \'Tea\']"\n2,"[""Food""]"\n')
    assert read_items(path)["categories"].to_list() == [["Food", "Tea"], ["Food"]]


def test_dictionary_encoded_columns_are_texts(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"item_id": ["a", "b"], "title": ["x", "y"], "categories": ["p > q", None]}
    )
    table.cast(pl.Categorical).write_parquet(tmp_path / "i.parquet")
    items = read_items(tmp_path / "i.parquet")
    assert items["categories"].to_list() == [["p", "q"], None]
    assert items["title"].to_list() == ["x", "y"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("i.csv", "item_id,title,brand\n1,Soap,A\n3,Te", r"line 3: 2 fields, fewer than the 3"),
        ("i.csv", "item_id,title\n1,So\nap\n", r"line 3: 1 fields, fewer"),
        ("i.csv", "item_id,title\n1,a,b\n", r"line 2: 3 fields, more"),
        ("i.csv", 'item_id,title\n1,"a\n\nb"\n2\n', r"line 5: 1 fields"),
        ("i.csv", 'item_id,title\n1,"So', r"line 2: not CSV"),
        ("i.csv", "item_id,item_id\n1,2\n", r"two columns are named 'item_id'"),
        ("i.jsonl", '{"item_id": "a"}\n\n{"item_id": 7.5}\n', r"line 3: .* 7.5 is a number that"),
        ("i.jsonl", '{"item_id": "a", "categories": {"b": 1}}', r"line 1: column 'categories'"),
        ("i.jsonl", '{"item_id": "a\\u0000"}', r"line 1: .* NUL"),
        ("i.jsonl", '{"item_id": "a", "brand": "\\u0000"}', r"line 1: column 'brand'"),
        ("i.jsonl", '{"item_id": "%s"}' % ("x" * 600), r"line 1: .* has 600 bytes"),
        ("i.jsonl", '{"item_id": "a", "title": "x\\u0007"}', r"line 1: .* U\+0007; --control"),
    ],
)
def test_what_cannot_be_read_names_its_line(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_items(tmp_path / name)


def test_endings_are_read_in_any_case_and_a_byte_order_mark_is_none_of_the_name(
    tmp_path: Path,
) -> None:
    line = b'\xef\xbb\xbf{"item_id": "a"}\n'
    (tmp_path / "I.JSONL.GZ").write_bytes(gzip.compress(line))
    (tmp_path / "i.csv").write_bytes(b"\xef\xbb\xbfitem_id\na\n")
    for name in ("I.JSONL.GZ", "i.csv"):
        assert read_items(tmp_path / name)["item_id"].to_list() == ["a"]


def test_ids_that_look_alike_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_items(_lines(tmp_path / "a.jsonl", {"item_id": "A1"}, {"item_id": "A 1"}))
    assert not caplog.messages
    read_items(_lines(tmp_path / "b.jsonl", {"item_id": " A1"}, {"item_id": "A1"}))
    read_items(_lines(tmp_path / "c.jsonl", {"item_id": "\u00e9"}, {"item_id": "e\u0301"}))
    assert [message.partition(": item_id")[0] for message in caplog.messages] == [
        "warning: b.jsonl", "warning: c.jsonl",
    ]  # fmt: skip
    assert "(lines 1, 2)" in caplog.messages[0]
