"""The schemas of the tables that the packages hand to each other, checked on the way in."""

from collections.abc import Sequence

import polars as pl

from data_prep.errors import InputError

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
    "timestamp": pl.Int64(),
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


def check_items(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring a catalogue into the Items schema.

    Args:
        frame: at least the column `item_id`; missing optional columns become null, further columns
            are kept behind the known ones.
        source: what to call the table in an error, usually the file's name.

    Raises:
        InputError: no rows; no `item_id`; an `item_id` empty or twice; a column of another type.
    """
    frame = _typed(frame, ITEMS, required=["item_id"], source=source)
    repeated = frame["item_id"].is_duplicated()
    if repeated.any():
        first = frame["item_id"].filter(repeated)[0]
        where = named_rows(frame["item_id"] == first)
        raise InputError(
            f"{source}: item_id {first!r} stands in more than one row ({where}); "
            f"{repeated.sum()} rows share their item_id with another; keep one row an item"
        )
    return frame


def check_interactions(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring a log of events into the Interactions schema; `timestamp` is in seconds, UTC.

    Raises:
        InputError: no rows; a required column missing, empty or of another type.
    """
    return _typed(frame, INTERACTIONS, required=["user_id", "item_id", "timestamp"], source=source)


def check_queries(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring judged queries into the Queries schema.

    Raises:
        InputError: no rows; a required column missing, empty or of another type.
    """
    required = ["query_id", "query", "item_id", "label"]
    return _typed(frame, QUERIES, required=required, source=source)


def check_vectors(frame: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring a table of vectors into `item_id` and `vector`, a fixed-size array of float32.

    Raises:
        InputError: a column is missing, an `item_id` is empty or twice, or vectors differ in
            length.
    """
    frame = _typed(frame, {"item_id": pl.String()}, required=["item_id"], source=source)
    if "vector" not in frame.columns:
        raise InputError(f"{source}: no column 'vector'; it has {', '.join(frame.columns)}")
    if frame["item_id"].is_duplicated().any():
        raise InputError(f"{source}: an item_id stands in more than one row; keep one row an item")
    dtype = frame.schema["vector"]
    if isinstance(dtype, pl.List):
        lengths = frame["vector"].list.len().fill_null(0)
        if lengths.n_unique() != 1 or lengths[0] == 0:
            odd = named_rows(lengths != lengths[0]) if lengths[0] else named_rows(lengths == 0)
            raise InputError(f"{source}: vectors differ in length or are empty ({odd})")
        width = int(lengths[0])
    elif isinstance(dtype, pl.Array):
        width = dtype.size
    else:
        raise InputError(f"{source}: column 'vector' is {dtype}; a list of floats is needed")
    if frame["vector"].null_count():
        raise InputError(f"{source}: no vector in {named_rows(frame['vector'].is_null())}")
    try:
        return frame.select("item_id", pl.col("vector").cast(pl.Array(pl.Float32, width)))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{source}: column 'vector' is {dtype}; floats are needed") from error


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


def named_rows(mask: pl.Series, most: int = 5) -> str:
    """Name the rows where `mask` holds, counted from 1: `"rows 4, 90, 91"`."""
    rows = (mask.arg_true() + 1).to_list()
    listed = ", ".join(str(row) for row in rows[:most])
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {listed}{more}"


def _typed(
    frame: pl.DataFrame, schema: dict[str, pl.DataType], required: Sequence[str], source: str
) -> pl.DataFrame:
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise InputError(
            f"{source}: no column {missing[0]!r}; it has {', '.join(frame.columns) or 'none'}; "
            f"name the right one with --column {missing[0]}=NAME"
        )
    if frame.is_empty():
        raise InputError(f"{source}: no rows; at least one is needed")
    columns = [_cast(frame, name, dtype, source) for name, dtype in schema.items()]
    further = [frame[name] for name in frame.columns if name not in schema]
    frame = pl.DataFrame([*columns, *further])
    for name in required:
        column = frame[name]
        empty = column.is_null()
        if column.dtype == pl.String:
            empty |= column.str.strip_chars() == ""
        if empty.any():
            raise InputError(
                f"{source}: column {name!r} has {empty.sum()} empty "
                f"{'value' if empty.sum() == 1 else 'values'} ({named_rows(empty)}); fill them"
            )
    return frame


def _cast(frame: pl.DataFrame, name: str, dtype: pl.DataType, source: str) -> pl.Series:
    if name not in frame.columns:
        return pl.Series(name, [None] * frame.height, dtype=dtype)
    column = frame[name]
    if column.dtype == dtype:
        return column
    try:
        cast = column.cast(dtype, strict=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{source}: column {name!r} is {column.dtype}; {dtype} is needed"
        ) from error
    lost = cast.is_null() & column.is_not_null()
    if column.dtype == pl.String:
        lost &= column.str.strip_chars() != ""
    if lost.any():
        raise InputError(
            f"{source}: column {name!r} cannot be read as {dtype} ({named_rows(lost)}; the first "
            f"is {column.filter(lost)[0]!r}); correct it or leave the column out"
        )
    return cast
