"""Changes to registered items, numbered so that other processes can follow them."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from data_prep.values.folding import folded_title
from service.registry.database import Database
from service.registry.migrations.schema import ids, vectors

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
        folded=sql.bindparam("_folded"),
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
    numbered = enumerate(changes, newest_change(connection, tokenizer) + 1)
    connection.execute(
        _update,
        [
            {
                "_number": c.number,
                "_title": c.title,
                "_folded": folded_title(c.title),
                "_removed": c.removed,
                "_change": change,
            }
            for change, c in numbered
        ],
    )


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
