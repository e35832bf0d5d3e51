"""Reads one tokenizer's items: by item_id, number, prefix, title or change."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from service.registry.changes import CHUNK, Anchor, anchor_of
from service.registry.database import Database
from service.registry.entries import Changes, PrefixCount, RegisteredItem, codes_of, key_of
from service.registry.migrations.schema import ids, owned_by
from service.registry.prefix_counts import kept_count, kept_levels, kept_next_codes
from service.registry.tokenizers import EnrolledTokenizer
from service.registry.words import MOST_COUNTED, matching
from tokenizer.ids.semantic_id import codes_of_key

__all__ = ["CHUNK", "NUL", "RegistryReader", "first_codes", "starts_with"]

NUL = "\x00"  # PostgreSQL's text cannot hold it
_live = sql.not_(ids.c.removed)
_select_by = {
    column: sql.select(ids).where(own, column.in_(sql.bindparam("values", expanding=True)))
    for column, own in (
        (ids.c.item_id, ids.c.tokenizer == sql.bindparam("tokenizer")),
        (ids.c.number, owned_by(sql.bindparam("tokenizer"))),
    )
}


class RegistryReader:
    """Reads one tokenizer's items; removed items are left out unless a method says otherwise.

    Every method raises `sqlalchemy.exc.SQLAlchemyError` if the database does not answer.
    """

    def __init__(self, database: Database, tokenizer: EnrolledTokenizer) -> None:
        self.database = database
        self.tokenizer = tokenizer
        self._own = ids.c.tokenizer == tokenizer.number

    def check(self) -> None:
        """Check that the database answers a query."""
        with self.database.reading() as connection:
            connection.execute(sql.select(ids.c.number).where(self._own).limit(1))

    def count(self) -> int:
        """Return the number of items."""
        return self.count_with_prefix(())

    def get(self, item_ids: Iterable[str]) -> dict[str, RegisteredItem]:
        """Return those of the items that are registered, by item_id."""
        with self.database.reading() as connection:
            rows = self._rows(connection, ids.c.item_id, [i for i in item_ids if NUL not in i])
            return {row.item_id: RegisteredItem.of(row) for row in rows if not row.removed}

    def by_number(self, numbers: Sequence[int]) -> dict[int, RegisteredItem]:
        """Return items by number."""
        with self.database.reading() as connection:
            rows = self._rows(connection, ids.c.number, numbers)
            return {row.number: RegisteredItem.of(row) for row in rows if not row.removed}

    def item_ids(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return item_ids by number, also of removed items."""
        with self.database.reading() as connection:
            return {
                row.number: row.item_id for row in self._rows(connection, ids.c.number, numbers)
            }

    def changes(self, after: int) -> Iterator[Changes]:
        """Yield, in parts, the items that changed after change number `after`, also removed ones.

        Changes become visible in the order of their numbers: no later change has a smaller one.
        """
        size = 100 * CHUNK
        query = (
            sql.select(ids.c.number, ids.c.codes, ids.c.removed, ids.c.change)
            .where(self._own, ids.c.change > sql.bindparam("after"))
            .order_by(ids.c.change)
            .limit(size)
        )
        while True:
            with self.database.reading() as connection:
                rows = connection.execute(query, {"after": after}).all()
            if rows:
                after = rows[-1].change
                yield Changes(
                    np.asarray([row.number for row in rows], np.int64),
                    codes_of_key([row.codes for row in rows], self.tokenizer.levels),
                    np.asarray([row.removed for row in rows], np.bool_),
                    after,
                )
            if len(rows) < size:
                return

    def anchor(self, change: int) -> Anchor | None:
        """Return the change with a number; None if its item has changed again or none has it."""
        with self.database.reading() as connection:
            return anchor_of(connection, self.tokenizer.number, change)

    def with_prefix(
        self, prefix: tuple[int, ...], limit: int, after: tuple[tuple[int, ...], int] | None = None
    ) -> list[RegisteredItem]:
        """Return up to `limit` items whose codes start with `prefix`, in the order of their IDs.

        Args:
            after: codes and suffix of the previous page's last item.
        """
        query = sql.select(ids).where(self._own, _live, starts_with(prefix))
        if after is not None:
            key = key_of(after[0])
            same = sql.and_(ids.c.codes == key, ids.c.suffix > after[1])
            query = query.where(sql.or_(ids.c.codes > key, same))
        query = query.order_by(ids.c.codes, ids.c.suffix).limit(limit)
        with self.database.reading() as connection:
            return [RegisteredItem.of(row) for row in connection.execute(query)]

    def count_with_prefix(self, prefix: tuple[int, ...]) -> int:
        """Return how many items' codes start with `prefix`."""
        if len(prefix) <= kept_levels(self.tokenizer.levels):
            with self.database.reading() as connection:
                return kept_count(connection, self.tokenizer.number, prefix)
        query = (
            sql.select(sql.func.count())
            .select_from(ids)
            .where(self._own, _live, starts_with(prefix))
        )
        with self.database.reading() as connection:
            return connection.scalar(query) or 0

    def next_codes(self, prefix: tuple[int, ...]) -> list[PrefixCount]:
        """Return the prefixes that extend `prefix` by one code and have items, in code order."""
        if len(prefix) < kept_levels(self.tokenizer.levels):
            with self.database.reading() as connection:
                return kept_next_codes(connection, self.tokenizer.number, prefix)
        part = first_codes(len(prefix) + 1)
        query = (
            sql.select(part, sql.func.count(), sql.func.min(ids.c.title))
            .where(self._own, _live, starts_with(prefix))
            .group_by(part)
            .order_by(part)
        )
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return [PrefixCount(codes_of(key), items, title) for key, items, title in rows]

    def search_titles(self, words: str, limit: int) -> tuple[list[RegisteredItem], int]:
        """Return the first `limit` items whose title has the words, and the number of all such.

        Each of the words must be in the title, or begin one of its words. Case, accents and Unicode
        forms do not matter; every database gives the same result. The number stops at
        `MOST_COUNTED`.
        """
        with self.database.reading() as connection:
            found = matching(connection, words, self.tokenizer.number)
            if found is None:
                return [], 0
            # Matching takes longest, so one query matches, counts and reads the first items. Rows
            # that are only counted stay in the database: each one that is fetched costs a thread
            # its turn.
            some = found.with_only_columns(ids.c.number).limit(max(limit, MOST_COUNTED))
            numbers = some.cte("found").prefix_with("MATERIALIZED")
            first = sql.select(numbers.c.number).order_by(numbers.c.number).limit(limit)
            total = sql.select(sql.func.count()).select_from(numbers).scalar_subquery()
            query = sql.select(ids, total.label("total")).where(
                ids.c.number.in_(first.scalar_subquery())
            )
            rows = connection.execute(query.order_by(ids.c.number)).all()
            most = rows[0].total if rows else 0
            return [RegisteredItem.of(row) for row in rows], min(most, MOST_COUNTED)

    def titled(self, words: str, limit: int) -> list[str]:
        """Return the ids of the first `limit` items that `search_titles` finds."""
        with self.database.reading() as connection:
            found = matching(connection, words, self.tokenizer.number)
            if found is None:
                return []
            named = found.with_only_columns(ids.c.item_id).limit(limit)
            return list(connection.scalars(named))

    def _rows(
        self, connection: Connection, column: sql.Column[Any], values: Sequence[Any]
    ) -> Iterator[sql.Row[Any]]:
        """Yield the rows whose `column` has one of the values, also rows of removed items."""
        for start in range(0, len(values), CHUNK):
            asked = {"tokenizer": self.tokenizer.number, "values": values[start : start + CHUNK]}
            yield from connection.execute(_select_by[column], asked)


def first_codes(number: int) -> sql.ColumnElement[bytes]:
    """Return the SQL expression for the key of an item's first `number` codes.

    The length is a literal: PostgreSQL groups by the expression only if it holds no parameter.
    """
    return sql.func.substr(ids.c.codes, 1, sql.literal_column(str(2 * number))).label("part")


def starts_with(prefix: tuple[int, ...]) -> sql.ColumnElement[bool]:
    """Return the SQL condition that an item's codes start with `prefix`."""
    if not prefix:
        return sql.true()
    low = key_of(prefix)
    beyond = (int.from_bytes(low, "big") + 1).to_bytes(len(low) + 1, "big")
    if beyond[0]:  # every code of the prefix is 65,535, so no key is above the range
        return ids.c.codes >= low
    return sql.and_(ids.c.codes >= low, ids.c.codes < beyond[1:])
