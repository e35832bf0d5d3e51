"""The schemas of the packages' tables, and checks that bring a table into its schema."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial

import polars as pl

from data_prep.errors import InputError
from data_prep.mapping.column_mapping import ColumnMapping
from data_prep.values.columns import (
    Source,
    category_column,
    further_column,
    id_column,
    named_rows,
    price_column,
    readable,
    text_column,
    title_column,
)
from data_prep.values.times import NANOSECOND, TIMESTAMP, time_columns

__all__ = [
    "INTERACTIONS",
    "ITEMS",
    "QUERIES",
    "check_interactions",
    "check_items",
    "check_queries",
    "check_vectors",
    "join_vectors",
    "named_rows",
]

ITEMS: dict[str, pl.DataType] = {
    "item_id": pl.String(),
    "title": pl.String(),
    "brand": pl.String(),
    "description": pl.String(),
    "categories": pl.List(pl.String()),
    "price": pl.Float64(),
}
INTERACTIONS: dict[str, pl.DataType] = {
    "user_id": pl.String(),
    "item_id": pl.String(),
    TIMESTAMP: pl.Int64(),
    NANOSECOND: pl.Int32(),
    "event": pl.String(),
}
QUERIES: dict[str, pl.DataType] = {
    "query_id": pl.String(),
    "query": pl.String(),
    "user_id": pl.String(),
    "item_id": pl.String(),
    "label": pl.Float32(),
    "split": pl.String(),
}


def check_items(
    frame: pl.DataFrame,
    source: str | Source,
    mapping: ColumnMapping | None = None,
    needed: Collection[str] | None = None,
) -> pl.DataFrame:
    """Bring a catalogue into the Items schema; the log names ids that look alike.

    Args:
        frame: a table with at least the column `item_id`. Missing optional columns become null;
            further columns are kept after the known ones.
        source: name of the table in error messages, usually the file's name.
        mapping: tells how a text of categories is split. The columns have our names already.
        needed: columns whose values must be readable; None for all. Values of other columns that
            cannot be read become null, and the log counts them. `item_id` is always needed.

    Raises:
        InputError: there are no rows or no `item_id`; an `item_id` is empty or occurs twice; or a
            value cannot be read.
    """
    source = _source(source)
    frame = _typed(frame, ITEMS, ["item_id"], source, mapping or ColumnMapping(), needed)
    _refuse_repeated(frame, source)
    _warn_of_similar_ids(frame["item_id"], source)
    return frame


def check_interactions(frame: pl.DataFrame, source: str | Source) -> pl.DataFrame:
    """Bring a log of events into the Interactions schema.

    `timestamp` has whole seconds, UTC; `nanosecond` has the rest. Numbers may be seconds, milli-,
    micro- or nanoseconds; their size tells the unit. Texts are ISO 8601.

    Raises:
        InputError: there are no rows; a required column is missing or has empty values; a value
            cannot be read; or times have several units.
    """
    source = _source(source)
    required = ["user_id", "item_id", TIMESTAMP]
    _check_columns(frame, required, source)
    frame = frame.with_columns(time_columns(frame, source))
    return _typed(frame, INTERACTIONS, required, source)


def check_queries(frame: pl.DataFrame, source: str | Source) -> pl.DataFrame:
    """Bring judged queries into the Queries schema.

    Raises:
        InputError: there are no rows; a required column is missing or has empty values; or a value
            cannot be read.
    """
    return _typed(frame, QUERIES, ["query_id", "query", "item_id", "label"], _source(source))


def check_vectors(frame: pl.DataFrame, source: str | Source) -> pl.DataFrame:
    """Bring a table of vectors into `item_id` and `vector`, a fixed-size array of float32.

    Raises:
        InputError: a column is missing, an `item_id` is empty or occurs twice, or vectors differ in
            length.
    """
    source = _source(source)
    _check_columns(frame, ["item_id"], source)
    if "vector" not in frame.columns:
        raise InputError(f"{source.name}: no column 'vector'; it has {', '.join(frame.columns)}")
    vectors = _numbers(frame["vector"], source)
    ids = frame.select("item_id")
    frame = _typed(ids, {"item_id": pl.String()}, ["item_id"], source).with_columns(vectors)
    _refuse_repeated(frame, source)
    dtype = frame.schema["vector"]
    if isinstance(dtype, pl.List):
        lengths = frame["vector"].list.len().fill_null(0)
        if lengths.n_unique() != 1 or lengths[0] == 0:
            odd = source.rows(lengths != lengths[0]) if lengths[0] else source.rows(lengths == 0)
            raise InputError(f"{source.name}: vectors differ in length or are empty ({odd})")
        width = int(lengths[0])
    elif isinstance(dtype, pl.Array):
        width = dtype.size
    else:
        raise InputError(f"{source.name}: column 'vector' is {dtype}; a list of floats is needed")
    if frame["vector"].null_count():
        where = source.rows(frame["vector"].is_null())
        raise InputError(f"{source.name}: no vector in {where}")
    try:
        return frame.select("item_id", pl.col("vector").cast(pl.Array(pl.Float32, width)))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{source.name}: column 'vector' is {dtype}; floats are needed") from error


def join_vectors(items: pl.DataFrame, vectors: pl.DataFrame) -> pl.DataFrame:
    """Return `item_id` and `vector` of each item, in the items' order.

    Args:
        items: the Items table.
        vectors: as `check_vectors` returns it.

    Raises:
        InputError: an item has no vector.
    """
    joined = items.select("item_id").join(vectors, on="item_id", how="left", maintain_order="left")
    without = joined.filter(pl.col("vector").is_null())
    if without.height:
        raise InputError(
            f"{without.height} {'item has' if without.height == 1 else 'items have'} no vector, "
            f"the first is {without['item_id'][0]!r}; add them to the file of vectors or leave "
            f"the items out"
        )
    return joined


def _source(source: str | Source) -> Source:
    return source if isinstance(source, Source) else Source(source)


def _refuse_repeated(frame: pl.DataFrame, source: Source) -> None:
    repeated = frame["item_id"].is_duplicated()
    if repeated.any():
        first = frame["item_id"].filter(repeated)[0]
        where = source.rows(frame["item_id"] == first)
        raise InputError(
            f"{source.name}: item_id {first!r} is in more than one row ({where}); "
            f"{repeated.sum()} rows share their item_id with another; keep one row an item, or let "
            f"--dedupe keep the first or the longest"
        )


def _warn_of_similar_ids(ids: pl.Series, source: Source) -> None:
    """Log ids that differ only in outer spaces or in their Unicode form."""
    bare = ids.str.strip_chars()
    if not (ids.str.len_bytes() != ids.str.len_chars()).any() and (bare == ids).all():
        return
    bare = bare.str.normalize("NFC")
    alike = bare.is_duplicated()
    if alike.any():
        first = alike.arg_true()[0]
        pair = (bare == bare[first]).arg_true()
        logging.getLogger(__name__).warning(
            "warning: %s: item_id %r and %r differ in spaces or in their Unicode form alone (%s); "
            "they count as two items",
            source.name, ids[pair[0]], ids[pair[1]], source.rows(bare == bare[first]),
        )  # fmt: skip


def _numbers(column: pl.Series, source: Source) -> pl.Series:
    """Return lists of integers and floats, which polars reads as objects, as lists of floats."""
    if column.dtype != pl.Object:
        return column
    rows: list[list[float] | None] = []
    for row, value in enumerate(column.to_list()):
        try:
            rows.append(None if value is None else [float(part) for part in value])
        except (TypeError, ValueError) as error:
            raise source.refusal("vector", row, value, "is not a list of floats") from error
    return pl.Series("vector", rows, dtype=pl.List(pl.Float64))


def _check_columns(frame: pl.DataFrame, required: Sequence[str], source: Source) -> None:
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InputError(
            f"{source.name}: no column {missing[0]!r}; it has "
            f"{', '.join(frame.columns) or 'none'}; name the right one with --column "
            f"{missing[0]}=NAME"
        )
    if frame.is_empty():
        raise InputError(f"{source.name}: no rows; at least one is needed")


def _typed(
    frame: pl.DataFrame,
    schema: dict[str, pl.DataType],
    required: Sequence[str],
    source: Source,
    mapping: ColumnMapping | None = None,
    needed: Collection[str] | None = None,
) -> pl.DataFrame:
    _check_columns(frame, required, source)
    split = (mapping or ColumnMapping()).categories
    readers: dict[str, Callable[[pl.Series, Source], pl.Series]] = {
        **dict.fromkeys(("item_id", "user_id", "query_id"), id_column),
        "title": title_column,
        "categories": lambda column, place: category_column(column, split, place),
        "price": price_column,
    }
    columns = []
    for name, dtype in schema.items():
        if name not in frame.columns:
            columns.append(pl.Series(name, [None] * frame.height, dtype=dtype))
            continue
        read = readers.get(name)
        if read is None:
            read = text_column if dtype == pl.String else partial(_cast, dtype)
        if needed is None or name in needed or name in required:
            columns.append(read(frame[name], source))
        else:
            columns.append(readable(frame[name], read, dtype, source))
    columns += [further_column(frame[name]) for name in frame.columns if name not in schema]
    frame = pl.DataFrame(columns)
    for name in required:
        column = frame[name]
        empty = column.is_null()
        if column.dtype == pl.String:
            empty |= column.str.strip_chars() == ""
        if empty.any():
            raise InputError(
                f"{source.name}: column {name!r} has {empty.sum()} empty "
                f"{'value' if empty.sum() == 1 else 'values'} ({source.rows(empty)}); fill them"
            )
    return frame


def _cast(dtype: pl.DataType, column: pl.Series, source: Source) -> pl.Series:
    if column.dtype == dtype:
        return column
    if column.dtype == pl.Object:
        column = further_column(column)
    try:
        cast = column.cast(dtype, strict=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{source.name}: column {column.name!r} is {column.dtype}; {dtype} is needed"
        ) from error
    lost = cast.is_null() & column.is_not_null()
    if column.dtype == pl.String:
        lost &= column.str.strip_chars() != ""
    if lost.any():
        raise InputError(
            f"{source.name}: column {column.name!r} cannot be read as {dtype} "
            f"({source.rows(lost)}; the first is {column.filter(lost)[0]!r}); correct it or leave "
            f"the column out"
        )
    return cast
