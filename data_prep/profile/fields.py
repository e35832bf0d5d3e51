"""How full the fields of a catalogue are, and which rows are one item."""

from dataclasses import dataclass

import polars as pl

from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.readers.table_files import TableFile
from data_prep.text import as_text
from data_prep.values.columns import Source, id_column
from data_prep.values.item_rules import TITLE_CONTROLS

__all__ = ["FieldProfile", "control_rows", "field_profiles", "repeated_ids"]


@dataclass(frozen=True)
class FieldProfile:
    """One column of a file.

    Attributes:
        field: our name of it; empty if it is none of ours.
        column: the file's name.
        filled: share of rows that have a value.
        distinct: number of different values.
        example: the first value as text.
    """

    field: str
    column: str
    filled: float
    distinct: int
    example: str


def field_profiles(file: TableFile, mapping: ColumnMapping) -> list[FieldProfile]:
    """Describe each column of a file, those of our fields first."""
    ours = {theirs: name for name, theirs in mapping.columns.items()}
    found = []
    for name in file.frame.columns:
        if name in mapping.drop:
            continue
        texts = _texts(file.frame[name])
        given = texts.drop_nulls()
        field = ours.get(name, "" if name in mapping.columns else name)
        example = given[0] if len(given) else ""
        share = len(given) / max(1, len(texts))
        found.append(FieldProfile(field, name, share, given.n_unique(), example))
    return found


def repeated_ids(file: TableFile, mapping: ColumnMapping) -> int:
    """Return how many rows have the item_id of an earlier row.

    Raises:
        InputError: a value of `item_id` is no id.
    """
    frame = mapping.frame(file.frame)
    ids = id_column(frame["item_id"], Source(file.name, file.lines)).drop_nulls()
    return len(ids) - ids.n_unique()


def control_rows(file: TableFile, mapping: ColumnMapping) -> int:
    """Return in how many rows a control character keeps a title or a text from being read."""
    frame = mapping.frame(file.frame)
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    asked = [
        pl.col(name).str.contains(TITLE_CONTROLS if name == "title" else r"\x00")
        for name in texts
        if name != "item_id"
    ]
    return int(frame.select(pl.any_horizontal(asked).sum()).item()) if asked else 0


def _texts(column: pl.Series) -> pl.Series:
    """Return a column's values as texts, blank ones as null."""
    if column.dtype == pl.String:
        texts = column
    elif column.dtype.is_nested() or column.dtype == pl.Object:
        texts = pl.Series([as_text(value) for value in column.to_list()], dtype=pl.String)
    else:
        texts = column.cast(pl.String, strict=False)
    return texts.set((texts.str.strip_chars() == "").fill_null(value=False), None)
