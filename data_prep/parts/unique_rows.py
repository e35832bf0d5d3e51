"""Finds items that are there twice, and items that have IDs already, beyond what memory holds."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.parts.table import Parts
from data_prep.values.columns import Source, id_column, named_rows

__all__ = ["item_ids", "new_rows"]

BATCH = 2**17
MOST = 4_000_000  # ids in memory at once
FLUSH = 2**20  # ids gathered before they are written to their buckets


def new_rows(
    items: Parts,
    column: str,
    known: Iterable[pl.Series],
    known_rows: int,
    work: Path,
    most: int = MOST,
) -> NDArray[np.bool_]:
    """Return for each row of `items` whether its item is not in `known`, (n,) bool.

    The ids are written to buckets by their hash, and each bucket is compared in memory. The result
    is mapped from a file in `work`.

    Args:
        column: the items' column of ids.
        known: the ids of items that have semantic IDs already, in chunks.
        known_rows: number of these.
        most: ids of a bucket, about.

    Raises:
        InputError: an id is empty or invalid, or stands in two rows of the items or of the known.
    """
    count = max(1, -(-(items.rows + known_rows) // most))
    buckets = _Buckets(work, count)
    first = -known_rows
    for ids in known:
        buckets.add(ids, first)
        first += len(ids)
    first = 0
    for ids in item_ids(items, column):
        buckets.add(ids, first)
        first += len(ids)
    new: NDArray[np.bool_] = np.memmap(work / "new", np.bool_, "w+", shape=(items.rows,))
    new[:] = True
    for bucket in buckets.all():
        _compare(bucket, new, items)
    return new


def item_ids(table: Parts, column: str) -> Iterator[pl.Series]:
    """Yield the ids of a table as text, in order.

    Raises:
        InputError: the table has no such column; an id is empty or invalid.
    """
    if column not in table.columns:
        raise InputError(
            f"{table.source}: no column {column!r}; it has {', '.join(table.columns)}; name the "
            f"right one with --column item_id=NAME"
        )
    first = 0
    for batch in table.batches(0, table.rows, BATCH, [column]):
        ids = id_column(batch[column].alias("item_id"), Source(f"{table.place(first)} ff."))
        empty = ids.is_null() | (ids.str.strip_chars() == "")
        if empty.any():
            at = int(empty.arg_true()[0])
            raise InputError(f"{table.place(first + at)}: no {column!r}; fill it")
        yield ids
        first += len(ids)


class _Buckets:
    """Ids with their row numbers, by hash: in memory if one bucket is enough, else in files."""

    def __init__(self, work: Path, count: int) -> None:
        self._folder, self._count = work / "buckets", count
        self._waiting: list[pl.DataFrame] = []
        self._rows = self._flushes = 0

    def add(self, ids: pl.Series, first: int) -> None:
        """Add ids; rows are numbered from `first`."""
        rows = pl.Series("row", np.arange(first, first + len(ids)))
        self._waiting.append(pl.DataFrame([ids.alias("item_id"), rows]))
        self._rows += len(ids)
        if self._count > 1 and self._rows >= FLUSH:
            self._flush()

    def all(self) -> Iterator[pl.DataFrame]:
        """Yield each bucket, its rows in the order in which they were added."""
        if self._count == 1:
            yield pl.concat(self._waiting)
            return
        self._flush()
        for bucket in range(self._count):
            parts = [self._path(bucket, flush) for flush in range(self._flushes)]
            found = [pl.read_ipc(path) for path in parts if path.exists()]
            if found:
                yield pl.concat(found)
            for path in parts:
                path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._folder.mkdir(exist_ok=True)
        rows = pl.concat(self._waiting)
        bucket = pl.col("item_id").hash(seed=0) % self._count
        for (number,), own in (
            rows.with_columns(bucket=bucket)
            .partition_by("bucket", as_dict=True, include_key=False)
            .items()
        ):
            own.write_ipc(self._path(int(number), self._flushes))
        self._waiting, self._rows = [], 0
        self._flushes += 1

    def _path(self, bucket: int, flush: int) -> Path:
        return self._folder / f"{bucket}-{flush}.arrow"


def _compare(bucket: pl.DataFrame, new: NDArray[np.bool_], items: Parts) -> None:
    """Mark the items of a bucket that are known; known ids have negative row numbers."""
    ours, known = bucket.filter(pl.col("row") >= 0), bucket.filter(pl.col("row") < 0)
    twice = ours.filter(pl.col("item_id").is_duplicated())
    if twice.height:
        item = twice["item_id"][0]
        rows = twice.filter(pl.col("item_id") == item)["row"].to_list()
        raise InputError(
            f"item {item!r} is there {len(rows)} times: {items.place(rows[0])}; and "
            f"{items.place(rows[1])}; keep one row an item"
        )
    if known["item_id"].is_duplicated().any():
        repeated = named_rows(known["item_id"].is_duplicated())
        raise InputError(f"the known IDs hold an item twice ({repeated}); use a table as written")
    new[ours.join(known, on="item_id", how="semi")["row"].to_numpy()] = False
