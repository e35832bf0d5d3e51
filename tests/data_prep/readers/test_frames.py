"""Tables of any kind become polars, with the same rows and what is missing as null."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from data_prep.errors import InputError
from data_prep.readers.frames import as_matrix, as_polars
from data_prep.tables import check_items

ROWS: list[dict[str, Any]] = [
    {"item_id": "a", "title": "Kettle", "price": 3.5, "categories": ["Kitchen", "Kettles"]},
    {"item_id": "b", "title": None, "price": None, "categories": None},
    {"item_id": "c", "brand": "Avila"},
]


def test_rows_are_a_table() -> None:
    frame = as_polars(iter(ROWS), "items")
    assert frame.columns == ["item_id", "title", "price", "categories", "brand"]
    assert frame.rows() == [
        ("a", "Kettle", 3.5, ["Kitchen", "Kettles"], None),
        ("b", None, None, None, None),
        ("c", None, None, None, "Avila"),
    ]
    assert as_polars(frame, "items") is frame
    assert as_polars(frame.lazy(), "items").equals(frame)
    assert as_polars([], "items").is_empty()
    with pytest.raises(InputError, match="items: no column 'item_id'"):
        check_items(as_polars([], "items"), "items")


def test_vectors_may_stand_in_rows() -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": "a", "vector": np.ones(3, np.float32)},
        {"item_id": "b", "vector": [1, 2, 3]},
    ]
    assert as_polars(rows, "items")["vector"].list.len().to_list() == [3, 3]


def test_pandas_is_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    frame = as_polars(pandas.DataFrame(ROWS, index=[7, 8, 9]), "items")
    assert frame.equals(as_polars(ROWS, "items"))


def test_what_is_no_table_is_refused() -> None:
    for wrong in (7, "items.csv", [1, 2], np.ones((2, 2)), object()):
        with pytest.raises(InputError, match=r"items: .* is not a table"):
            as_polars(wrong, "items")  # type: ignore[arg-type]


def test_a_matrix_has_rows() -> None:
    assert as_matrix([[1, 2], [3, 4]], "v").dtype == np.float32
    odd: list[Any] = [[1.0, 2.0], [], [[]], "text", [[1.0], [1.0, 2.0]], [["a"]]]
    for wrong in odd:
        with pytest.raises(InputError, match=r"^v: "):
            as_matrix(wrong, "v")


def test_order_in_memory_does_not_matter() -> None:
    columns = np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3))
    assert as_matrix(columns, "v").flags.c_contiguous
    assert pl.Series(as_matrix(columns, "v")).to_list() == [[0, 1, 2], [3, 4, 5]]
