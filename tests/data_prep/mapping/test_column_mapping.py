import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping, check_columns
from data_prep.mapping.column_names import by_name, guess_mapping, looks_like_ids, looks_like_titles

TABLE = pl.DataFrame({"id": ["1"], "name": ["Cup"], "title": ["old"], "price": ["2"]})


def test_columns_get_our_names_and_rows_too() -> None:
    mapping = ColumnMapping(columns={"item_id": "id", "title": "name"}, drop=("price",))
    assert mapping.frame(TABLE).to_dicts() == [{"item_id": "1", "title": "Cup"}]
    assert mapping.row(TABLE.row(0, named=True)) == {"item_id": "1", "title": "Cup"}
    swapped = ColumnMapping(columns={"title": "name", "name": "title"})
    assert swapped.frame(TABLE).select("title", "name").row(0) == ("Cup", "old")
    assert swapped.row({"title": "a", "name": "b"}) == {"title": "b", "name": "a"}
    twice = ColumnMapping(columns={"item_id": "id", "title": "id"})
    assert twice.frame(TABLE).select("item_id", "title").row(0) == ("1", "1")


def test_our_own_columns_serve_where_theirs_are_missing() -> None:
    mapping = ColumnMapping(columns={"item_id": "sku", "title": "name"})
    ours = pl.DataFrame({"item_id": ["1"], "title": ["Cup"]})
    assert mapping.frame(ours).equals(ours)
    assert mapping.row({"item_id": "1", "title": "Cup"}) == {"item_id": "1", "title": "Cup"}


def test_what_a_user_names_wins() -> None:
    found = ColumnMapping(columns={"title": "name", "brand": "maker"}, dedupe="first")
    changed = found.changed({"brand": "name"}, drop=["x"], category_separator="/", dedupe="longest")
    assert changed.columns == {"brand": "name"}
    assert (changed.drop, changed.category_separator, changed.dedupe) == (("x",), "/", "longest")
    assert found.changed({}) == found


def test_of_several_paths_the_first_is_taken() -> None:
    mapping = ColumnMapping(path_separator=",")
    assert mapping.categories("A > B, C > D") == ["A", "B"]
    assert mapping.categories(r"A > B\, C, D") == ["A", "B, C"]
    assert mapping.row({"categories": "A > B, C"}) == {"categories": ["A", "B"]}
    assert mapping.categories(["A", "B, C"]) == ["A", "B, C"]


def test_control_characters_become_blanks_but_in_ids() -> None:
    mapping = ColumnMapping(columns={"title": "name"}, control_characters="blank")
    item = {"item_id": "1\x07", "name": "so\x80ap\n", "brand": "a\0", "n": 7}
    expected = {"item_id": "1\x07", "title": "so ap\n", "brand": "a ", "n": 7}
    assert mapping.frame(pl.DataFrame([item])).to_dicts() == [
        {name: expected[name] for name in ("title", "item_id", "brand", "n")}
    ]
    assert mapping.row(item) == expected
    mixed = pl.DataFrame({"title": pl.Series(["a\x07", 7], dtype=pl.Object)})
    assert mapping.frame(mixed)["title"].to_list() == ["a ", 7]
    assert mapping.reads(frozenset({"title"}))
    assert ColumnMapping().frame(pl.DataFrame([item])).to_dicts() == [item]


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputError, match="no column 'sku' to read as 'item_id'; it has id, name"):
        check_columns(TABLE.columns, {"item_id": "sku"}, (), "f.csv")
    with pytest.raises(InputError, match="no column 'x' to drop"):
        check_columns(TABLE.columns, {}, ("x",), "f.csv")


def test_names_are_known_in_any_spelling() -> None:
    assert by_name(["Product ID", "Product_Name", "Marke", "ingredients_200"]) == {
        "item_id": "Product ID", "title": "Product_Name", "brand": "Marke",
        "description": "ingredients_200",
    }  # fmt: skip
    assert by_name(["Réf.", "Libellé", "Prix TTC", "Description longue", "Brand ID"]) == {
        "item_id": "Réf.", "title": "Libellé", "price": "Prix TTC",
        "description": "Description longue",
    }  # fmt: skip
    assert by_name(["item_id", "title", "name", "id"]) == {}
    assert by_name(["StockCode", "Description"]) == {"item_id": "StockCode", "title": "Description"}
    assert by_name(["sku", "description"])["title"] == "description"
    assert guess_mapping(["Handle", "Title", "Body (HTML)", "Vendor"]).preset == "shopify"
    assert guess_mapping(["item_id", "movieId", "title", "genres"]).preset is None
    with pytest.raises(InputError, match=r"unknown preset 'shopfy'.*did you mean 'shopify'"):
        guess_mapping(["a"], "shopfy")


def test_content_tells_ids_and_titles() -> None:
    table = pl.DataFrame(
        {
            "kind": ["a", "a", "b", "b"],
            "link": [f"https://shop.example/{n}" for n in range(4)],
            "label": ["Red cup", "Blue cup", "Tea pot", "Oak board"],
            "code": [7, 8, 9, 10],
        }
    )
    assert looks_like_titles(table) == "label"
    assert looks_like_titles(table, ["label"]) is None
    assert looks_like_ids(table.drop("link", "label")) == "code"
    assert looks_like_ids(table.select("kind")) is None
