"""A user's own catalogue or vectors: a file of any format → checked tables."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

import polars as pl

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import (
    CATEGORY_SEPARATOR,
    ColumnMapping,
    Dedupe,
    check_columns,
)
from data_prep.readers.table_files import TableFile, read_table, read_table_file
from data_prep.tables import check_items, check_vectors
from data_prep.text import TextTemplate
from data_prep.values.columns import Source, id_column

__all__ = ["items_of", "read_items", "read_table", "read_vectors"]

logger = logging.getLogger(__name__)


def read_items(
    path: Path,
    columns: Mapping[str, str] | None = None,
    category_separator: str = CATEGORY_SEPARATOR,
) -> pl.DataFrame:
    """Read a catalogue into the Items schema.

    Args:
        path: a file in one of `data_prep.readers.table_files.FORMATS`.
        columns: column name in the schema → name in the file, where the two differ.
        category_separator: splits `categories` if a row has them as one text.

    Raises:
        InputError: the file cannot be read, or `check_items` refuses it.
    """
    mapping = ColumnMapping(columns=dict(columns or {}), category_separator=category_separator)
    file = read_table_file(path)
    check_columns(file.frame.columns, mapping.columns, (), file.name)
    return items_of(file, mapping)


def items_of(
    file: TableFile,
    mapping: ColumnMapping,
    needed: Collection[str] | None = None,
    template: TextTemplate | None = None,
) -> pl.DataFrame:
    """Bring the table of a file into the Items schema.

    Args:
        mapping: what the file's columns are, and what is done with rows that share an item_id.
        needed: as for `data_prep.tables.check_items`.
        template: makes the items' texts; needed if the mapping leaves out items without text.

    Raises:
        InputError: the file has no rows, or `check_items` refuses it.
    """
    if file.frame.is_empty():
        raise InputError(f"{file.name}: the catalogue has no items")
    frame, lines = mapping.frame(file.frame), file.lines
    for ours, theirs in mapping.columns.items():
        if ours not in frame.columns and (needed is None or ours in needed):
            logger.warning("warning: %s has neither a column %r nor %r", file.name, theirs, ours)
    if mapping.dedupe != "refuse" and "item_id" in frame.columns:
        frame, lines = _collapsed(frame, Source(file.name, lines), mapping.dedupe)
    items = check_items(frame, Source(file.name, lines), mapping, needed)
    return _with_text(items, template, file.name) if template and mapping.skip_empty else items


def _with_text(items: pl.DataFrame, template: TextTemplate, name: str) -> pl.DataFrame:
    """Leave out items without text; the log counts them."""
    kept = pl.Series([bool(template.content(row)) for row in items.iter_rows(named=True)])
    if not kept.all():
        gone = f"{(~kept).sum():,}"
        logger.warning("%s: %s items have no text and are left out", name, gone)
    if not kept.any():
        raise InputError(f"{name}: no item has text in any of {', '.join(template.fields)}")
    return items.filter(kept)


def _collapsed(
    frame: pl.DataFrame, source: Source, keep: Dedupe
) -> tuple[pl.DataFrame, list[int] | None]:
    """Keep one row an item_id, in the order of the first ones; empty ids stay as they are."""
    ids = id_column(frame["item_id"], source)
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    length = pl.sum_horizontal(
        pl.lit(0), *(pl.col(name).str.len_chars().fill_null(0).cast(pl.Int64) for name in texts)
    )
    rows = (
        frame.select(length=length)
        .with_columns(ids.alias("id"), row=pl.int_range(frame.height))
        .with_columns(place=pl.coalesce("id", pl.format("\0{}", "row")))
        .group_by("place", maintain_order=True)
        .agg(
            pl.col("row").first()
            if keep == "first"
            else pl.col("row").gather(pl.col("length").arg_max().fill_null(0)).first()
        )["row"]
    )
    gone = frame.height - len(rows)
    if gone:
        logger.warning(
            "%s: %s rows share their item_id with another and are left out; the %s one is kept",
            source.name, f"{gone:,}", keep,
        )  # fmt: skip
    lines = None if source.lines is None else [source.lines[row] for row in rows]
    return frame[rows], lines


def read_vectors(path: Path) -> pl.DataFrame:
    """Read `item_id` and `vector` from a parquet file.

    Raises:
        InputError: the file cannot be read, or `check_vectors` refuses it.
    """
    return check_vectors(read_table(path), path.name)
