"""Semantic IDs of a catalogue of any size: in pieces, to numbered parts, in constant memory."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.parts.engines import Engine
from data_prep.parts.items import Piece
from data_prep.parts.run_folder import Manifest, RunFolder
from data_prep.parts.unique_rows import new_rows
from data_prep.progress import Progress
from tokenizer.ids.policy import TakenCodes, assign_free
from tokenizer.ids.semantic_id import codes_key
from tokenizer.offline.coding_worker import Coder, CoderOptions
from tokenizer.offline.id_parts import KIND, IdParts, code_matrix
from tokenizer.offline.id_table import SEMANTIC_IDS, written_ids
from tokenizer.offline.suffix_sort import SuffixSort
from tokenizer.pipeline import Pipeline

__all__ = ["StreamedIds", "tokenize_parts"]

Codes = NDArray[np.uint16]


@dataclass(frozen=True)
class StreamedIds:
    """What a streamed run has written."""

    manifest: Manifest
    new: int
    with_suffix: int


@dataclass(frozen=True)
class _Run:
    """A run's fixed parts."""

    folder: RunFolder
    pipeline: Pipeline
    options: CoderOptions
    known: IdParts | None
    continued: bool  # the known IDs stand in the output folder already

    @property
    def suffixes(self) -> bool:
        return self.pipeline.config.policy == "suffix"

    def coded(self, piece: Piece) -> str:
        return f"codes-{piece.number:05}.arrow"

    def codes(self, piece: Piece) -> pl.DataFrame:
        return pl.read_ipc(self.folder.work / self.coded(piece))


def tokenize_parts(
    options: CoderOptions,
    pipeline: Pipeline,
    out: Path,
    engine: Engine,
    part_rows: int,
    known: IdParts | None = None,
    progress: Progress = lambda done: None,
    *,
    overwrite: bool = False,
) -> StreamedIds:
    """Give every item of a catalogue in parts its semantic ID.

    Items are checked first: none may stand in two rows. Then each piece of the catalogue gets its
    codes, in any order and on any number of workers; then a sort gives suffixes in row order, and
    the parts are written. A run that was stopped goes on from the pieces that are coded. Neither
    IDs nor distortions depend on pieces, workers or engine.

    Args:
        pipeline: the tokenizer of `options`, loaded here.
        out: folder of the parts; its manifest is written last.
        part_rows: rows of a piece, about.
        known: IDs that stay. If they are the IDs in `out`, the parts of new items are added to
            them; else they come first in `out`.
        progress: called with the number of items done.
        overwrite: give up what the folder holds.

    Raises:
        InputError: an item is there twice, or cannot be tokenized; the folder holds another run.
    """
    continued = known is not None and Path(known.table.source).resolve() == out.resolve()
    catalogue = options.catalogue
    key: dict[str, Any] = {
        **catalogue.key(),
        "known": None if known is None else known.table.key(),
        "part_rows": part_rows,
    }
    before = known.parts if known is not None and continued else ()
    folder = RunFolder(out, KIND, pipeline.fingerprint, key, before)
    run = _Run(folder, pipeline, options, known, continued)
    ended = folder.done()
    if ended is not None and not overwrite:
        return _told(run, ended)
    with folder.opened(overwrite=overwrite and not continued):
        catalogue.check_same_items()
        pieces = _pieces(run, part_rows)
        progress(catalogue.items.rows - sum(int(piece.wanted().sum()) for piece in pieces))
        _code(run, engine, pieces, progress)
        written = 0
        for rows in _parts(run, pieces):
            folder.write_part(written, rows)
            written += 1
        return _told(run, folder.finish(written))


def _told(run: _Run, manifest: Manifest) -> StreamedIds:
    files = [run.folder.folder / part.name for part in manifest.parts]
    suffixed = sum(
        pl.scan_parquet(path, glob=False).select((pl.col("suffix") > 0).sum()).collect().item()
        for path in files
    )
    known = 0 if run.known is None else run.known.table.rows
    return StreamedIds(manifest, manifest.rows - known, suffixed)


def _pieces(run: _Run, part_rows: int) -> list[Piece]:
    """Cut the catalogue into pieces, without the rows whose items have IDs."""
    catalogue = run.options.catalogue
    known: Iterator[pl.Series] = iter(())
    count = 0
    if run.known is not None:
        known = (batch["item_id"].cast(pl.String) for batch in run.known.batches(("item_id",)))
        count = run.known.table.rows
    new = new_rows(catalogue.items, catalogue.id_column, known, count, run.folder.work)
    pieces: list[Piece] = []
    table = catalogue.items if catalogue.vectors is None else catalogue.vectors
    for first, end in table.cuts(part_rows, inside=not catalogue.has_vectors()):
        chosen = new[first:end]
        if chosen.any():
            bits = None if chosen.all() else np.packbits(chosen).tobytes()
            pieces.append(Piece(len(pieces), first, end, bits))
    return pieces


def _code(run: _Run, engine: Engine, pieces: Sequence[Piece], progress: Progress) -> None:
    left = []
    for piece in pieces:
        if run.folder.has(run.coded(piece)):
            progress(int(piece.wanted().sum()))
        else:
            left.append(piece)
    for number, rows in engine.run(run.options, left):
        with run.folder.writing(run.coded(pieces[number])) as aside:
            rows.write_ipc(aside)
        progress(rows.height)


def _parts(run: _Run, pieces: Sequence[Piece]) -> Iterator[pl.DataFrame]:
    """Yield the parts to write: known IDs unless they are there, then one part a piece."""
    if run.known is not None and not run.continued:
        for first, end in run.known.table.cuts(2**19):
            yield pl.concat(
                frame.select(pl.col(name).cast(dtype) for name, dtype in SEMANTIC_IDS.items())
                for frame in run.known.table.batches(first, end, 2**17, tuple(SEMANTIC_IDS))
            )
    yield from _with_suffixes(run, pieces) if run.suffixes else _reassigned(run, pieces)


def _with_suffixes(run: _Run, pieces: Sequence[Piece]) -> Iterator[pl.DataFrame]:
    levels = run.pipeline.levels
    known = 0 if run.known is None else run.known.table.rows
    total = sum(int(piece.wanted().sum()) for piece in pieces)
    work = run.folder.work / "sort"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    sort = SuffixSort(work, levels, run.pipeline.codebook_size, total, known)
    if run.known is not None:
        for rows in run.known.batches(("codes", "suffix")):
            sort.add_known(code_matrix(rows["codes"], levels), rows["suffix"].to_numpy())
    for piece in pieces:
        sort.add(run.codes(piece)["codes"].to_numpy())
    suffixes, first = sort.suffixes(), 0
    for piece in pieces:
        rows = run.codes(piece)
        yield _table(run, rows, suffixes[first : first + rows.height])
        first += rows.height


def _reassigned(run: _Run, pieces: Sequence[Piece]) -> Iterator[pl.DataFrame]:
    """Yield the parts by the policy reassign; all taken codes are in memory, 100 bytes an item."""
    levels, books = run.pipeline.levels, run.pipeline.codebooks
    coder, taken = Coder(run.options, run.pipeline), TakenCodes()
    if run.known is not None:
        for rows in run.known.batches(("codes",)):
            for key in codes_key(code_matrix(rows["codes"], levels)):
                taken.add(key)
    for piece in pieces:
        rows = run.codes(piece)
        wanted: Codes = rows["codes"].to_numpy()
        given = assign_free(wanted, rows["latent"].to_numpy(), books, taken)
        changed = (given != wanted).any(axis=1)
        distortion = rows["distortion"].to_numpy().copy()
        if changed.any():
            chosen = piece.wanted()
            chosen[np.flatnonzero(chosen)[~changed]] = False
            again = replace(piece, chosen=np.packbits(chosen).tobytes())
            distortion[changed] = run.pipeline.distortion(coder.vectors(again), given[changed])
        moved = rows.with_columns(
            pl.Series("codes", given, dtype=pl.Array(pl.UInt16, levels)),
            pl.Series("distortion", distortion),
        )
        yield _table(run, moved, np.zeros(rows.height, np.uint32))


def _table(run: _Run, rows: pl.DataFrame, suffixes: NDArray[np.uint32]) -> pl.DataFrame:
    table = rows.select(
        "item_id",
        pl.col("codes").cast(SEMANTIC_IDS["codes"]),
        pl.Series("suffix", suffixes),
        "distortion",
        pl.lit(run.pipeline.fingerprint).alias("tokenizer"),
    )
    return table.with_columns(semantic_id=written_ids()).select(
        pl.col(name).cast(dtype) for name, dtype in SEMANTIC_IDS.items()
    )
