"""The fields of a catalogue's items, as its table has them."""

from typing import Any

import numpy as np
import polars as pl

__all__ = ["ItemFields"]

HIDDEN = {"item_id", "vector"}


class ItemFields:
    """Finds the fields of an item in a catalogue that is held in memory."""

    def __init__(self, items: pl.DataFrame) -> None:
        """Keep the Items table; its rows are sorted by `item_id`."""
        shown = [name for name in items.columns if name not in HIDDEN]
        self._items = items.select("item_id", *shown).sort("item_id")

    def of(self, item_id: str) -> dict[str, Any] | None:
        """Return an item's fields that are not empty, in the table's order; None if unknown.

        Values are numbers, texts, truth values, and lists and maps of these; others become texts.
        """
        ids = self._items["item_id"]
        row = int(ids.search_sorted(item_id))
        if row == len(ids) or ids[row] != item_id:
            return None
        fields = self._items.row(row, named=True)
        del fields["item_id"]
        return {
            name: _plain(value)
            for name, value in fields.items()
            if value is not None and value not in ("", [])
        }


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, bool, int, float)) or value is None else str(value)
