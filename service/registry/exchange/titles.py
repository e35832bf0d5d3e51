"""Titles for IDs that come without: those of a catalogue in the same order of items."""

import polars as pl

from data_prep.parts.items import ItemParts, Piece

__all__ = ["TitleStream"]

BATCH = 2**16


class TitleStream:
    """Gives rows the titles of a catalogue's items, as long as both have the same order.

    Attributes:
        missed: whether rows were met whose items did not come next in the catalogue; their titles
            must be set by item_id.
    """

    def __init__(self, catalogue: ItemParts) -> None:
        every = Piece(0, 0, catalogue.items.rows)
        self._stream = catalogue.with_texts(every, BATCH, ("title",))
        self._left: pl.DataFrame | None = None
        self.missed = False

    def titled(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows with titles; unchanged if their items do not come next."""
        while not self.missed and (self._left is None or self._left.height < rows.height):
            more = next(self._stream, None)
            if more is None:
                self.missed = True
                break
            own = more.select("item_id", "title")
            self._left = own if self._left is None else pl.concat([self._left, own])
        if self.missed or self._left is None:
            return rows
        here = self._left.head(rows.height)
        if not here["item_id"].equals(rows["item_id"]):
            self.missed = True
            return rows
        self._left = self._left.slice(rows.height)
        return rows.with_columns(here["title"])
