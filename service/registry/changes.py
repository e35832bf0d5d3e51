"""Changes to registered items, numbered so that other processes can follow them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from service.registry.database import Database
from service.registry.migrations.schema import ids, vectors
from service.registry.prefix_counts import change_counts
from service.registry.words import change_words

__all__ = [
    "CHUNK",
    "Anchor",
    "Change",
    "anchor_of",
    "change_items",
    "forget_vectors",
    "newest_change",
    "remove_item",
]

CHUNK = 500  # values in one query
_update = (
    ids.update()
    .where(ids.c.number == sql.bindparam("_number"))
    .values(
        title=sql.bindparam("_title"),
        removed=sql.bindparam("_removed"),
        change=sql.bindparam("_change"),
    )
)
_newest = sql.select(sql.func.max(ids.c.change)).where(
    ids.c.tokenizer == sql.bindparam("tokenizer")
)


@dataclass(frozen=True)
class Change:
    """An item's new title and whether the item is removed now."""

    number: int
    title: str | None
    removed: bool


@dataclass(frozen=True)
class Anchor:
    """A change with its item, to recognise the database by.

    If this row still exists, the database was not replaced or rolled back.
    """

    change: int
    number: int
    item_id: str


def anchor_of(connection: Connection, tokenizer: int, change: int) -> Anchor | None:
    """Return the change with a number; None if its item has changed again or no change has it."""
    query = sql.select(ids.c.change, ids.c.number, ids.c.item_id).where(
        ids.c.tokenizer == tokenizer, ids.c.change == change
    )
    row = connection.execute(query).first()
    return None if row is None else Anchor(row.change, row.number, row.item_id)


def newest_change(connection: Connection, tokenizer: int) -> int:
    """Return the number of a tokenizer's last change, or 0 if it has none."""
    return connection.scalar(_newest, {"tokenizer": tokenizer}) or 0


def change_items(connection: Connection, tokenizer: int, changes: Sequence[Change]) -> None:
    """Change items of a tokenizer; `connection` must be in a write transaction."""
    if not changes:
        return
    before = _before(connection, [change.number for change in changes])
    moved = [
        (before[c.number].codes, int(before[c.number].removed) - int(c.removed)) for c in changes
    ]
    change_counts(connection, tokenizer, [(bytes(key), by) for key, by in moved if by])
    retitled = [c for c in changes if c.title != before[c.number].title]
    change_words(
        connection,
        [(c.number, before[c.number].title) for c in retitled],
        [(c.number, c.title) for c in retitled],
    )
    numbered = enumerate(changes, newest_change(connection, tokenizer) + 1)
    connection.execute(
        _update,
        [
            {
                "_number": c.number,
                "_title": c.title,
                "_removed": c.removed,
                "_change": change,
            }
            for change, c in numbered
        ],
    )


def _before(connection: Connection, numbers: Sequence[int]) -> dict[int, sql.Row[Any]]:
    """Return the rows of items as they are, by number."""
    rows: dict[int, sql.Row[Any]] = {}
    for start in range(0, len(numbers), CHUNK):
        some = sql.select(ids).where(ids.c.number.in_(numbers[start : start + CHUNK]))
        rows |= {row.number: row for row in connection.execute(some)}
    return rows


def forget_vectors(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete the kept vectors of items; `connection` must be in a write transaction."""
    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        connection.execute(vectors.delete().where(vectors.c.number.in_(some)))


def remove_item(database: Database, item_id: str) -> bool:
    """Remove an item from all tokenizers, with its vectors, and return whether it was there.

    It keeps its IDs.
    """
    query = sql.select(ids).where(ids.c.item_id == item_id, sql.not_(ids.c.removed))
    with database.writing() as connection:
        rows = connection.execute(query).all()
        for row in rows:
            change_items(connection, row.tokenizer, [Change(row.number, row.title, removed=True)])
        forget_vectors(connection, [row.number for row in rows])
    return bool(rows)
