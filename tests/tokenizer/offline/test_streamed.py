"""Streamed IDs are those of the catalogue read whole, however it is cut and whoever codes it."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.parts.engines import Worker, engine
from data_prep.parts.items import ItemParts, Piece
from data_prep.parts.table import Parts
from tokenizer.offline.catalogue import tokenize_catalogue
from tokenizer.offline.coding_worker import CoderOptions
from tokenizer.offline.id_parts import IdParts
from tokenizer.offline.id_table import read_ids
from tokenizer.offline.streamed import StreamedIds, tokenize_parts
from tokenizer.pipeline import Pipeline

HERE = engine("local", 0, "cpu")


@pytest.fixture(scope="module")
def catalogue(
    items: pl.DataFrame, vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder of files; the last hundred items have the vectors of the first."""
    folder = tmp_path_factory.mktemp("items")
    mixed = np.concatenate([vectors[:500], vectors[:100]])
    rows = pl.DataFrame(
        [items["item_id"], pl.Series("vector", mixed, dtype=pl.Array(pl.Float32, mixed.shape[1]))]
    )
    for number in range(3):
        rows.slice(200 * number, 200).write_parquet(folder / f"{number}.parquet", row_group_size=64)
    return folder


@pytest.fixture(scope="module")
def whole(catalogue: Path, pipeline: Pipeline) -> pl.DataFrame:
    rows = pl.read_parquet(catalogue / "*.parquet")
    return tokenize_catalogue(rows.select("item_id"), pipeline, vectors=rows)


def _options(source: Path, folder: Path, *, latents: bool = False, **more: Parts) -> CoderOptions:
    parts = ItemParts(Parts.of(str(source)), more.get("vectors"))
    return CoderOptions(parts, folder, "cpu", None, 50, latents)


def _ids(out: Path, made: StreamedIds) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(out / part.name) for part in made.manifest.parts])


def _known(path: Path, pipeline: Pipeline) -> IdParts:
    return IdParts.of(path, pipeline.fingerprint, pipeline.levels, pipeline.codebook_size)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(("rows", "workers"), [(1, 0), (130, 0), (10**6, 0), (250, 2)])
def test_ids_do_not_depend_on_pieces_or_workers(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path,
    whole: pl.DataFrame, rows: int, workers: int,
) -> None:  # fmt: skip
    out, done = tmp_path / "ids", list[int]()
    made = tokenize_parts(
        _options(catalogue, tokenizer_folder), pipeline, out,
        engine("local", workers, "cpu"), rows, progress=done.append,
    )  # fmt: skip
    assert _ids(out, made).equals(whole)
    assert (made.new, made.with_suffix) == (600, int((whole["suffix"] > 0).sum()))
    assert made.with_suffix >= 100
    assert sum(done) == 600
    assert read_ids(out, pipeline).equals(whole)
    assert not (out / ".run").exists()


def test_texts_are_coded_as_when_read_whole(
    tmp_path: Path, items: pl.DataFrame, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    items.write_parquet(tmp_path / "items.parquet", row_group_size=100)
    options = _options(tmp_path / "items.parquet", tokenizer_folder)
    made = tokenize_parts(options, pipeline, tmp_path / "ids", HERE, 70)
    assert _ids(tmp_path / "ids", made).equals(tokenize_catalogue(items, pipeline))


def test_vectors_beside_the_items_must_be_in_their_order(
    tmp_path: Path, catalogue: Path, items: pl.DataFrame, pipeline: Pipeline,
    tokenizer_folder: Path, whole: pl.DataFrame,
) -> None:  # fmt: skip
    items.write_parquet(tmp_path / "items.parquet")
    own = Parts.of(str(catalogue))
    options = _options(tmp_path / "items.parquet", tokenizer_folder, vectors=own)
    made = tokenize_parts(options, pipeline, tmp_path / "ids", HERE, 100)
    assert _ids(tmp_path / "ids", made).equals(whole)
    items.reverse().write_parquet(tmp_path / "reversed.parquet")
    options = _options(tmp_path / "reversed.parquet", tokenizer_folder, vectors=own)
    with pytest.raises(InputError, match=r"in the same order.*row 1 differs; sort both"):
        tokenize_parts(options, pipeline, tmp_path / "others", HERE, 100)


def test_known_ids_stay_and_new_ones_follow(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    """From a file of IDs; from a folder; and by further parts in the same folder."""
    rows = pl.read_parquet(catalogue / "*.parquet")
    before = rows.sample(300, seed=0)
    before.write_parquet(tmp_path / "before.parquet")
    known = tokenize_catalogue(before.select("item_id"), pipeline, vectors=before)
    known.write_parquet(tmp_path / "known.parquet")
    expected = tokenize_catalogue(rows.select("item_id"), pipeline, known, vectors=rows)
    options = _options(catalogue, tokenizer_folder)
    early = _options(tmp_path / "before.parquet", tokenizer_folder)
    tokenize_parts(early, pipeline, tmp_path / "grown", HERE, 100)
    old = _bytes(tmp_path / "grown")
    for source, out in (("known.parquet", "one"), ("grown", "two"), ("grown", "grown")):
        given = _known(tmp_path / source, pipeline)
        made = tokenize_parts(options, pipeline, tmp_path / out, HERE, 130, given)
        assert _ids(tmp_path / out, made).equals(expected)
        assert made.new == 300
    grown = _bytes(tmp_path / "grown")
    assert all(grown[name] == old[name] for name in old if name != "manifest.json")
    given = _known(tmp_path / "grown", pipeline)
    again = tokenize_parts(options, pipeline, tmp_path / "grown", HERE, 130, given)
    assert again.new == 0
    assert _bytes(tmp_path / "grown").keys() == grown.keys()


def test_reassigned_ids_are_those_of_the_catalogue_read_whole(
    tmp_path: Path, catalogue: Path, reassigning: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = pl.read_parquet(catalogue / "*.parquet")
    expected = tokenize_catalogue(rows.select("item_id"), reassigning, vectors=rows)
    folder = next(tmp_path_factory.getbasetemp().glob("fitted*/reassigning"))
    options = _options(catalogue, folder, latents=True)
    made = tokenize_parts(options, reassigning, tmp_path / "ids", HERE, 130)
    assert _ids(tmp_path / "ids", made).equals(expected)


class _Stopping:
    """An engine that is killed after some pieces."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    def run(
        self, make: Callable[[], Worker], pieces: Sequence[Piece]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        for _ in range(self._pieces):
            yield next(HERE.run(make, pieces))
            pieces = pieces[1:]
        raise KeyboardInterrupt


def test_a_stopped_run_goes_on_to_the_same_bytes(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    options = _options(catalogue, tokenizer_folder)
    tokenize_parts(options, pipeline, tmp_path / "straight", HERE, 70)
    out, done = tmp_path / "stopped", list[int]()
    for pieces in (2, 0, 3):
        with pytest.raises(KeyboardInterrupt):
            tokenize_parts(options, pipeline, out, _Stopping(pieces), 70)
        with pytest.raises(InputError, match="the run that writes it has not ended"):
            read_ids(out, pipeline)
    with pytest.raises(InputError, match="parts of another run"):
        tokenize_parts(options, pipeline, out, HERE, 71)
    tokenize_parts(options, pipeline, out, HERE, 70, progress=done.append)
    assert done[1:6] == [64, 64, 64, 8, 64]  # the pieces that were there
    assert _bytes(out) == _bytes(tmp_path / "straight")
    before = (out / "manifest.json").stat().st_mtime_ns
    tokenize_parts(options, pipeline, out, HERE, 70)
    assert (out / "manifest.json").stat().st_mtime_ns == before


def test_folders_that_hold_something_else_are_left_alone(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path, whole: pl.DataFrame
) -> None:
    options, out = _options(catalogue, tokenizer_folder), tmp_path / "ids"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds 'notes\.txt'"):
            tokenize_parts(options, pipeline, out, HERE, 70, overwrite=overwrite)
    assert (out / "notes.txt").read_text() == "mine"
    (out / "notes.txt").unlink()
    made = tokenize_parts(options, pipeline, out, HERE, 70)
    with pytest.raises(InputError, match="no part of this run"):
        tokenize_parts(options, pipeline, out, HERE, 300)
    assert _ids(out, made).equals(whole)
    made = tokenize_parts(options, pipeline, out, HERE, 300, overwrite=True)
    assert len(made.manifest.parts) == len(list(out.glob("part-*"))) == 3


def test_a_damaged_folder_is_named(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    out = tmp_path / "ids"
    tokenize_parts(_options(catalogue, tokenizer_folder), pipeline, out, HERE, 200)
    part = out / "part-00001.parquet"
    whole = part.read_bytes()
    for content, said in ((whole[:-5], "is cut short"), (whole[:-5] + b"01234", "has changed")):
        part.write_bytes(content)
        with pytest.raises(InputError, match=f"part-00001.parquet {said}"):
            read_ids(out, pipeline)
    part.unlink()
    with pytest.raises(InputError, match="is missing"):
        _known(out, pipeline)
    part.write_bytes(whole)
    body = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(body | {"of": "another"}))
    with pytest.raises(InputError, match="IDs of tokenizer another"):
        _known(out, pipeline)
    shutil.rmtree(out)
