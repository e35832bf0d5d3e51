from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.batch import tokenize_catalogue
from tokenizer.id_table import SEMANTIC_IDS, check_keeps, read_ids
from tokenizer.pipeline import Pipeline


@pytest.fixture(scope="module")
def ids(items: pl.DataFrame, pipeline: Pipeline) -> pl.DataFrame:
    return tokenize_catalogue(items, pipeline)


@pytest.mark.parametrize("size", [1, 7, 1024])
def test_every_item_gets_its_own_id_at_any_batch_size(
    items: pl.DataFrame, pipeline: Pipeline, ids: pl.DataFrame, size: int
) -> None:
    assert ids.schema == SEMANTIC_IDS
    assert ids["item_id"].to_list() == items["item_id"].to_list()
    assert ids["semantic_id"].n_unique() == items.height
    part = items.head(100)
    assert tokenize_catalogue(part, pipeline, batch_size=size).equals(ids.head(100))


def test_ids_given_stay_given(items: pl.DataFrame, pipeline: Pipeline, ids: pl.DataFrame) -> None:
    """New items come first in the catalogue, so that a recount would move the suffixes."""
    known = tokenize_catalogue(items.tail(400), pipeline)
    grown = tokenize_catalogue(items, pipeline, known)
    assert grown.head(400).equals(known)
    assert grown["item_id"].to_list()[400:] == items["item_id"].to_list()[:200]
    assert grown["semantic_id"].n_unique() == 600
    assert tokenize_catalogue(items, pipeline, ids).equals(ids)


def test_items_that_are_alike_share_codes_and_differ_in_suffix(pipeline: Pipeline) -> None:
    twins = pl.DataFrame({"item_id": ["a", "b", "c"], "title": ["Soap"] * 3})
    ids = tokenize_catalogue(twins, pipeline, batch_size=2)
    assert ids["codes"].n_unique() == 1
    assert ids["suffix"].to_list() == [0, 1, 2]
    assert ids["semantic_id"][2] == ids["semantic_id"][0] + "-2"


def test_own_vectors_serve_instead_of_texts(
    items: pl.DataFrame, pipeline: Pipeline, ids: pl.DataFrame, vectors: NDArray[np.float32]
) -> None:
    table = pl.DataFrame({"item_id": items["item_id"], "vector": vectors}).reverse()
    assert tokenize_catalogue(items, pipeline, vectors=table).equals(ids)
    with pytest.raises(InputError, match="1 item has no vector, the first is 'D00000'"):
        tokenize_catalogue(items, pipeline, vectors=table.head(599))


def test_a_wrong_vector_is_named_by_its_item_before_any_work(
    items: pl.DataFrame, pipeline: Pipeline, vectors: NDArray[np.float32]
) -> None:
    broken = vectors.copy()
    broken[205, 3] = np.inf
    table = pl.DataFrame({"item_id": items["item_id"], "vector": broken})
    done: list[int] = []
    with pytest.raises(InputError, match="of item 'D00205' has NaN or infinity"):
        tokenize_catalogue(items, pipeline, vectors=table, batch_size=100, progress=done.append)
    assert sum(done) == 0


def test_items_without_text_are_named(pipeline: Pipeline) -> None:
    with pytest.raises(InputError, match="1 item: b"):
        tokenize_catalogue(pl.DataFrame({"item_id": ["a", "b"], "title": ["x", ""]}), pipeline)


def test_a_table_is_read_back(tmp_path: Path, pipeline: Pipeline, ids: pl.DataFrame) -> None:
    path = tmp_path / "ids.parquet"
    ids.write_parquet(path)
    assert read_ids(path, pipeline).equals(ids)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer": pl.lit("another")}, "IDs of tokenizer another, not of"),
        ({"tokenizer": pl.lit(None, pl.String)}, "no 'tokenizer' in rows 1, 2"),
        ({"suffix": pl.lit(None, pl.UInt32)}, "no 'suffix' in rows 1, 2"),
        ({"codes": pl.col("codes").list.head(2)}, "do not have 3 codes below 32"),
        ({"codes": pl.lit([1, 2, 99])}, "do not have 3 codes below 32"),
        ({"semantic_id": pl.lit("1-2-3")}, "not that of codes and suffix"),
        ({"item_id": pl.lit("same")}, "more than one row"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    tmp_path: Path, pipeline: Pipeline, ids: pl.DataFrame, change: dict[str, pl.Expr], said: str
) -> None:
    path = tmp_path / "ids.parquet"
    ids.with_columns(**change).write_parquet(path)
    with pytest.raises(InputError, match=said):
        read_ids(path, pipeline)


def test_ids_given_twice_and_missing_columns_are_refused(
    tmp_path: Path, pipeline: Pipeline, ids: pl.DataFrame
) -> None:
    path = tmp_path / "ids.parquet"
    twice = ids.head(1).with_columns(item_id=pl.lit("other"))
    pl.concat([ids, twice]).write_parquet(path)
    with pytest.raises(InputError, match=r"given twice \(rows 1, 601\)"):
        read_ids(path, pipeline)
    ids.drop("codes").write_parquet(path)
    with pytest.raises(InputError, match="no column 'codes'"):
        read_ids(path, pipeline)


def test_a_table_is_not_replaced_where_ids_would_be_lost(tmp_path: Path, ids: pl.DataFrame) -> None:
    path = tmp_path / "ids.parquet"
    check_keeps(path, ids)
    ids.write_parquet(path)
    check_keeps(path, ids)
    with pytest.raises(InputError, match="1 of its IDs"):
        check_keeps(path, ids.tail(599))
    pl.DataFrame({"x": [1]}).write_parquet(path)
    with pytest.raises(InputError, match="not a table of IDs"):
        check_keeps(path, ids)
