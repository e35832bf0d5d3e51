from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.policy import TakenCodes
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.offline.id_table import SEMANTIC_IDS, check_keeps, read_ids
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


@pytest.mark.parametrize("size", [1, 7, 1024])
def test_reassigned_ids_have_one_length_at_any_batch_size(
    items: pl.DataFrame, reassigning: Pipeline, vectors: NDArray[np.float32], size: int
) -> None:
    ids = tokenize_catalogue(items, reassigning)
    part = items.head(200)
    assert tokenize_catalogue(part, reassigning, batch_size=size).equals(ids.head(200))
    assert ids["suffix"].to_list() == [0] * 600
    assert ids["codes"].list.len().unique().to_list() == [2]
    assert ids["semantic_id"].n_unique() == 600
    own = reassigning.tokenize(vectors)
    codes = np.asarray(ids["codes"].to_list())
    kept = (codes == own.codes).all(axis=1)
    assert 0 < kept.sum() < 600
    assert np.array_equal(ids["distortion"].to_numpy()[kept], own.distortion[kept])


def test_distortion_is_that_of_the_codes_given(pipeline: Pipeline) -> None:
    """The second of two twins gets other codes and what they lose."""
    twins = pipeline.tokenize(pipeline.embed(["Soap", "Soap"]))
    given = pipeline.reassign(twins, TakenCodes())
    assert np.array_equal(given.codes[0], twins.codes[0])
    assert (given.codes[1] == twins.codes[1]).tolist() == [True, True, False]
    assert given.distortion[0] == twins.distortion[0]
    decoded = pipeline._model.decode(torch.tensor(given.codes, dtype=torch.long)).numpy()
    lost = np.square(decoded - given.vectors).sum(axis=1)
    assert given.distortion[1] / given.distortion[0] == pytest.approx(lost[1] / lost[0], rel=1e-4)


def test_reassigned_ids_given_stay_given(items: pl.DataFrame, reassigning: Pipeline) -> None:
    known = tokenize_catalogue(items.tail(400), reassigning)
    grown = tokenize_catalogue(items, reassigning, known)
    assert grown.head(400).equals(known)
    assert grown["semantic_id"].n_unique() == 600
    in_one = pl.concat([items.tail(400), items.head(200)])
    assert tokenize_catalogue(in_one, reassigning).equals(grown)


def test_when_all_codes_are_given_out_the_remedy_is_named(reassigning: Pipeline) -> None:
    """The last of 1,024 equal items still gets an ID; there is none for another."""
    twins = pl.DataFrame({"item_id": [str(n) for n in range(1025)], "title": ["Soap"] * 1025})
    assert tokenize_catalogue(twins.head(1024), reassigning)["semantic_id"].n_unique() == 1024
    full = r"all others of this tokenizer \(32\^2\).* --policy suffix"
    with pytest.raises(InputError, match=full):
        tokenize_catalogue(twins, reassigning)


def test_a_table_with_suffixes_is_refused_where_none_are_given(
    tmp_path: Path, items: pl.DataFrame, reassigning: Pipeline
) -> None:
    path = tmp_path / "ids.parquet"
    ids = tokenize_catalogue(items.head(3), reassigning)
    ids.write_parquet(path)
    assert read_ids(path, reassigning).equals(ids)
    second = pl.col("item_id") == "D00001"
    ids.with_columns(
        suffix=pl.when(second).then(pl.lit(4, pl.UInt32)).otherwise("suffix"),
        semantic_id=pl.when(second).then(pl.col("semantic_id") + "-4").otherwise("semantic_id"),
    ).write_parquet(path)
    with pytest.raises(InputError, match=r"suffix in row 2.*policy reassign"):
        read_ids(path, reassigning)


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
