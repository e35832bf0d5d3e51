import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.tables import check_interactions, check_items, check_queries, check_vectors


def test_missing_columns_become_null_and_further_ones_stay() -> None:
    items = check_items(pl.DataFrame({"item_id": ["a"], "colour": ["red"]}), "shop.csv")
    assert items.columns == [
        "item_id", "title", "brand", "description", "categories", "price", "colour",
    ]  # fmt: skip
    assert items["title"].to_list() == [None]
    assert items["colour"].to_list() == ["red"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"title": ["x"]}, "no column 'item_id'"),
        ({"item_id": []}, "no rows"),
        ({"item_id": ["a", "", None, " "]}, "3 empty values (rows 2, 3, 4)"),
        ({"item_id": ["a", "b", "a"]}, "'a' is in more than one row (rows 1, 3)"),
        (
            {"item_id": ["a", "b"], "price": ["1.5", "cheap"]},
            "row 2: column 'price': 'cheap' is not a finite",
        ),
    ],
)
def test_wrong_items_are_refused_by_place(columns: dict[str, list[str]], said: str) -> None:
    with pytest.raises(InputError) as refusal:
        check_items(pl.DataFrame(columns), "shop.csv")
    assert said in str(refusal.value)
    assert str(refusal.value).startswith("shop.csv")


def test_numbers_serve_as_ids() -> None:
    for column in ([7, 8], [7.0, 8.0], [b"7", b"8"]):
        items = check_items(pl.DataFrame({"item_id": column}), "t")
        assert items["item_id"].to_list() == ["7", "8"]
    with pytest.raises(InputError, match=r"row 2: .* 7.5"):
        check_items(pl.DataFrame({"item_id": [7.0, 7.5]}), "t")


def test_interactions_and_queries_name_what_is_missing() -> None:
    with pytest.raises(InputError, match="'timestamp'"):
        check_interactions(pl.DataFrame({"user_id": ["u"], "item_id": ["i"]}), "log")
    with pytest.raises(InputError, match="'label'"):
        check_queries(pl.DataFrame({"query_id": ["q"], "query": ["x"], "item_id": ["i"]}), "q")


def test_vectors_of_one_length_become_a_fixed_array() -> None:
    frame = pl.DataFrame({"item_id": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.0]]})
    assert check_vectors(frame, "v")["vector"].dtype == pl.Array(pl.Float32, 2)


@pytest.mark.parametrize(
    ("vector", "said"),
    [([[1.0, 2.0], [3.0]], "row 2"), ([[1.0], None], "row 2"), (["x", "y"], "list of floats")],
)
def test_wrong_vectors_are_refused(vector: list[object], said: str) -> None:
    frame = pl.DataFrame({"item_id": ["a", "b"], "vector": vector}, strict=False)
    with pytest.raises(InputError, match=said):
        check_vectors(frame, "v.parquet")


def test_vectors_of_whole_and_broken_numbers_are_floats() -> None:
    mixed = pl.Series("vector", [[1, 0.5], [2, 3]], dtype=pl.Object)
    table = check_vectors(pl.DataFrame({"item_id": ["a", "b"]}).with_columns(mixed), "v")
    assert table["vector"].to_list() == [[1.0, 0.5], [2.0, 3.0]]
    with pytest.raises(InputError, match=r"row 1: .* is not a list of floats"):
        check_vectors(
            pl.DataFrame({"item_id": ["a"]}).with_columns(
                pl.Series("vector", [["x", 1]], dtype=pl.Object)
            ),
            "v",
        )
