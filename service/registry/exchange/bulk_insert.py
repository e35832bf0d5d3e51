"""Inserts many rows at once: COPY on PostgreSQL, one prepared statement on SQLite."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from service.registry.changes import newest_change
from service.registry.entries import KeptVector
from service.registry.migrations.schema import ids
from service.registry.prefix_counts import change_counts
from service.registry.vectors import insert_vectors
from service.registry.words import add_words
from tokenizer.ids.semantic_id import codes_key
from tokenizer.offline.id_parts import code_matrix

__all__ = ["bulk_insert", "wide_cache"]

COLUMNS = (
    "tokenizer", "item_id", "codes", "suffix", "distortion", "title", "removed", "change",
)  # fmt: skip
CACHE = 262_144  # KiB for the pages of the indexes, which rows in no order reach everywhere


def wide_cache(connection: Connection) -> None:
    """Give SQLite memory for its indexes; PostgreSQL has its own settings."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE}")


def bulk_insert(connection: Connection, tokenizer: int, rows: pl.DataFrame) -> None:
    """Insert new items with their IDs; `connection` must be in a write transaction.

    Args:
        rows: a table with the columns of an exported registry; all codes have one length.
    """
    if rows.is_empty():
        return
    keys = codes_key(code_matrix(rows["codes"], rows["codes"].list.len()[0]))
    first = newest_change(connection, tokenizer) + 1
    _insert(connection, _values(rows, tokenizer, keys, first))
    change_counts(
        connection,
        tokenizer,
        ((key, 1) for key, removed in zip(keys, rows["removed"], strict=True) if not removed),
    )
    if not rows["title"].null_count() == rows["direction"].null_count() == rows.height:
        numbers = _numbers(connection, tokenizer, first)
        add_words(connection, zip(numbers, rows["title"], strict=True))
        kept = zip(numbers, rows["direction"], rows["length"], strict=True)
        insert_vectors(
            connection, {number: KeptVector(way, length) for number, way, length in kept if way}
        )


def _values(
    rows: pl.DataFrame, tokenizer: int, keys: list[bytes], first: int
) -> Iterator[tuple[Any, ...]]:
    columns = (rows[name].to_list() for name in ("item_id", "suffix", "distortion", "title"))
    removed = rows["removed"].to_list()
    for place, (key, gone, item_id, suffix, distortion, title) in enumerate(
        zip(keys, removed, *columns, strict=True)
    ):
        yield (tokenizer, item_id, key, suffix, distortion, title, gone, first + place)


def _insert(connection: Connection, values: Iterator[tuple[Any, ...]]) -> None:
    named = ", ".join(COLUMNS)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT INTO semid_ids ({named}) VALUES ({marks})"  # noqa: S608 # our names
        connection.exec_driver_sql(statement, list(values))
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY semid_ids ({named}) FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


def _numbers(connection: Connection, tokenizer: int, first: int) -> list[int]:
    query = sql.select(ids.c.number).where(ids.c.tokenizer == tokenizer, ids.c.change >= first)
    return list(connection.scalars(query.order_by(ids.c.change)))
