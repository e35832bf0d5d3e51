"""Pieces of a catalogue in parts as checked tables: items with texts, or items with vectors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.parts.table import Parts
from data_prep.parts.unique_rows import item_ids
from data_prep.tables import check_items, check_vectors
from data_prep.values.columns import Source

__all__ = ["ItemParts", "Piece"]


@dataclass(frozen=True)
class Piece:
    """Consecutive rows of a catalogue, which one worker handles.

    Attributes:
        number: counts the pieces from 0.
        first, end: rows first…end−1.
        chosen: which of the rows are wanted, packed into bits; None for all of them.
    """

    number: int
    first: int
    end: int
    chosen: bytes | None = None

    def wanted(self) -> NDArray[np.bool_]:
        """Return which rows are wanted, (end − first,) bool."""
        rows = self.end - self.first
        if self.chosen is None:
            return np.ones(rows, np.bool_)
        bits = np.unpackbits(np.frombuffer(self.chosen, np.uint8), count=rows)
        return bits.astype(np.bool_)


@dataclass(frozen=True)
class ItemParts:
    """A catalogue in parts and how its columns are read.

    Attributes:
        items: the files of the catalogue.
        vectors: files of the items' own vectors, in the same order of items; None without.
        mapping: what the files' columns are.
        texts: read texts although the items have vectors.
    """

    items: Parts
    vectors: Parts | None
    mapping: ColumnMapping = field(default_factory=ColumnMapping)
    texts: bool = False

    def __post_init__(self) -> None:
        if self.mapping.dedupe != "refuse" or self.mapping.skip_empty:
            raise InputError(
                f"{self.items.source}: --dedupe and --skip-empty need files that are read whole; "
                f"keep one row an item in the parts, each with a text"
            )

    @property
    def id_column(self) -> str:
        """Name of the column of ids in the files."""
        return self._theirs("item_id")

    def has_vectors(self) -> bool:
        """Return whether items come with vectors, which take precedence over texts."""
        here = self.vectors is not None or self._theirs("vector") in self.items.columns
        return here and not self.texts

    def check_same_items(self) -> None:
        """Check that the vectors' files have the items of the catalogue in the same order.

        Raises:
            InputError: they have not.
        """
        if self.vectors is None:
            return
        if self.vectors.rows != self.items.rows:
            raise self._misaligned(f"{self.items.rows:,} items and {self.vectors.rows:,} vectors")
        theirs, first = _Joined(item_ids(self.vectors, "item_id")), 0
        for ours in item_ids(self.items, self.id_column):
            differ = (ours != theirs.take(len(ours))).arg_true()
            if len(differ):
                raise self._misaligned(f"{self.items.place(first + int(differ[0]))} differs")
            first += len(ours)

    def with_vectors(self, piece: Piece, size: int) -> Iterator[pl.DataFrame]:
        """Yield the wanted rows of a piece as `item_id` and `vector`, up to `size` at a time.

        Raises:
            InputError: a vector cannot be read.
        """
        table = self.items if self.vectors is None else self.vectors
        names = {"item_id": "item_id", "vector": "vector"}
        if self.vectors is None:
            names = {name: self._theirs(name) for name in names}
        for place, batch in _wanted(table, piece, size, list(names.values())):
            ours = batch.rename({theirs: name for name, theirs in names.items()})
            yield check_vectors(ours, Source(place))

    def with_texts(self, piece: Piece, size: int, fields: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the wanted rows of a piece as Items, up to `size` at a time.

        Args:
            fields: the fields to read beside `item_id` and `text`.

        Raises:
            InputError: a value cannot be read.
        """
        ours = dict.fromkeys(("item_id", "text", *fields))
        columns = [self._theirs(name) for name in ours]
        read = [name for name in columns if name in self.items.columns]
        for place, batch in _wanted(self.items, piece, size, read):
            named = self.mapping.frame(batch)
            yield check_items(named, Source(place), self.mapping, list(ours))

    def _theirs(self, name: str) -> str:
        theirs = self.mapping.columns.get(name, name)
        return theirs if theirs in self.items.columns else name

    def key(self) -> dict[str, Any]:
        """Return what tells this catalogue from others, as plain values."""
        return {
            "items": self.items.key(),
            "vectors": None if self.vectors is None else self.vectors.key(),
            "mapping": self.mapping.model_dump(mode="json"),
        }

    def _misaligned(self, what: str) -> InputError:
        assert self.vectors is not None
        return InputError(
            f"{self.vectors.source} does not have the items of {self.items.source} in the same "
            f"order: {what}; sort both by item_id, or put the vectors into the items' files as a "
            f"column 'vector'"
        )


class _Joined:
    """Takes any number of values from a stream of series."""

    def __init__(self, stream: Iterator[pl.Series]) -> None:
        self._stream, self._left = stream, pl.Series("item_id", [], dtype=pl.String)

    def take(self, count: int) -> pl.Series:
        while len(self._left) < count:
            self._left = pl.concat([self._left, next(self._stream)])
        taken, self._left = self._left.head(count), self._left.slice(count)
        return taken


def _wanted(
    table: Parts, piece: Piece, size: int, columns: Sequence[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the wanted rows, batch by batch, with the place of each batch's first row."""
    wanted, done = piece.wanted(), 0
    for batch in table.batches(piece.first, piece.end, size, columns):
        chosen = wanted[done : done + batch.height]
        place = f"{table.place(piece.first + done)} ff."
        done += batch.height
        if chosen.all():
            yield place, batch
        elif chosen.any():
            yield place, batch.filter(pl.Series(chosen))
