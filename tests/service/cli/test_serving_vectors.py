"""Vectors of items whose IDs a service takes over."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.embedding.embed import EmbeddingCache
from data_prep.errors import InputError
from service.cli.serving.serve import _take_over
from service.cli.serving.vectors import take_vectors
from service.engine.catalogue import Catalogue
from service.registry import Registry, open_database
from tests.service.databases import sqlite_url
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.pipeline import Pipeline


@pytest.fixture
def taken(tmp_path: Path, pipeline: Pipeline, items: pl.DataFrame) -> Iterator[Catalogue]:
    """Return a catalogue that took the IDs of all items over, without vectors."""
    with open_database(sqlite_url(tmp_path)) as database:
        registry = Registry(database, pipeline.fingerprint, pipeline.levels)
        _take_over(tokenize_catalogue(items, pipeline), registry)
        yield Catalogue(pipeline, registry)


def _file(path: Path, names: pl.Series, vectors: NDArray[np.float32]) -> Path:
    pl.DataFrame({"item_id": names, "vector": vectors}).write_parquet(path)
    return path


def test_a_file_of_vectors_is_taken_for_the_items_it_has(
    taken: Catalogue, items: pl.DataFrame, vectors: NDArray[np.float32], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = _file(tmp_path / "v.parquet", items["item_id"].head(400), vectors[:400])
    take_vectors([taken], [file], None, 0, tmp_path)
    assert taken.nearest.vectors.count() == 0
    take_vectors([taken], [file], None, 1000, tmp_path)
    assert taken.nearest.vectors.count() == 400
    assert "200 of 600 items" in capsys.readouterr().err
    [number] = [item.number for item in taken.registry.get([items["item_id"][7]]).values()]
    assert np.allclose(taken.nearest.vectors.vectors([number])[number], vectors[7], atol=1e-3)


def test_vectors_of_others_are_refused(
    taken: Catalogue, items: pl.DataFrame, vectors: NDArray[np.float32], tmp_path: Path
) -> None:
    shuffled = _file(tmp_path / "v.parquet", items["item_id"], vectors[::-1])
    with pytest.raises(InputError, match="would get other codes than they have"):
        take_vectors([taken], [shuffled], None, 1000, tmp_path)
    narrow = _file(tmp_path / "w.parquet", items["item_id"], vectors[:, :9])
    with pytest.raises(InputError, match="no tokenizer that is served takes 9 numbers"):
        take_vectors([taken], [narrow], None, 1000, tmp_path)
    assert taken.nearest.vectors.count() == 0


def test_the_cache_gives_vectors_of_the_catalogues_texts(
    taken: Catalogue, items: pl.DataFrame, pipeline: Pipeline, tmp_path: Path
) -> None:
    """Without a cache none is made: reading a catalogue never encodes it in a service."""
    take_vectors([taken], [], items, 1000, tmp_path / "none")
    assert taken.nearest.vectors.count() == 0
    assert not (tmp_path / "none").exists()
    with EmbeddingCache(tmp_path) as cache:
        pipeline.embed(pipeline.texts(items.head(300).iter_rows(named=True)), cache)
    take_vectors([taken], [], items, 1000, tmp_path)
    assert taken.nearest.vectors.count() == 300
