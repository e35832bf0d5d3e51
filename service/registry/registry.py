"""Registers one tokenizer's items and gives them permanent IDs; each write is one transaction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import sqlalchemy as sql
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from data_prep.errors import InputError
from data_prep.progress import Progress
from service.registry.changes import Change, change_items, newest_change, remove_item
from service.registry.database import Database
from service.registry.entries import NewItem, RegisteredItem, key_of
from service.registry.migrations.schema import ids
from service.registry.prefix_counts import change_counts
from service.registry.reader import CHUNK, NUL, RegistryReader, first_codes, starts_with
from service.registry.tokenizers import enrol
from service.registry.vectors import insert_vectors
from service.registry.words import add_words
from tokenizer.ids.policy import TakenCodes
from tokenizer.ids.semantic_id import Codes, format_semantic_id

__all__ = ["Reassign", "Registry"]

# Takes the new rows of a call and the taken codes; returns free codes (n, L) and distortions (n,).
Reassign = Callable[[Sequence[int], TakenCodes], tuple[Codes, NDArray[np.float32]]]
MAX_INTEGER = 2**63 - 1  # largest integer of a database
_insert = ids.insert().returning(ids.c.item_id, ids.c.number)
_next_suffix_query = (
    sql.select(ids.c.codes, sql.func.max(ids.c.suffix) + 1)
    .where(
        ids.c.tokenizer == sql.bindparam("tokenizer"),
        ids.c.codes.in_(sql.bindparam("codes", expanding=True)),
    )
    .group_by(ids.c.codes)
)


class Registry(RegistryReader):
    """Items and IDs of one tokenizer in a database.

    The database prevents two writers from giving the same ID twice: writers wait for each other,
    and (codes, suffix) and item_id are unique. A removed item keeps its ID: no other item gets it,
    and the item has it again when it is added again.
    """

    def __init__(self, database: Database, fingerprint: str, levels: int) -> None:
        """Enrol the tokenizer if it is new; a database's first tokenizer becomes the default.

        Raises:
            InputError: the database has the tokenizer with another number of levels.
        """
        super().__init__(database, enrol(database, fingerprint, levels))

    def add(
        self, items: Sequence[NewItem], reassign: Reassign | None = None
    ) -> list[tuple[RegisteredItem, bool]]:
        """Register new items; return each item's entry, in order, and whether it is new.

        A registered item keeps its entry. A removed item gets its entry back; a given title
        replaces the old one. A new item gets the next suffix of its codes; new items with the same
        codes get suffixes in their order.

        Args:
            reassign: gives the new items free codes instead of suffixes; other writers wait while
                it runs.

        Raises:
            InputError: no codes are free; nothing is registered then.
        """
        with self.database.writing() as connection:
            return self._add(connection, items, reassign)

    def take_over(self, chunks: Iterable[Sequence[NewItem]], progress: Progress) -> None:
        """Register all items or none, with their own suffixes; removed items stay removed.

        Raises:
            InputError: an item is registered with another ID, or another item has its ID.
        """
        try:
            with self.database.writing() as connection:
                for chunk in chunks:
                    entries = self._add(connection, chunk, restore=False)
                    for item, (entry, _) in zip(chunk, entries, strict=True):
                        _check_same(item, entry)
                    progress(len(chunk))
        except sql.exc.IntegrityError as error:
            raise InputError(
                f"an ID of the table belongs to another item in the database ({error.orig}); "
                f"use the table that belongs to the database, or a new --database"
            ) from error

    def set_titles(self, chunks: Iterable[Sequence[tuple[str, str]]], progress: Progress) -> None:
        """Set titles, given as pairs (item_id, title); unknown items are ignored."""
        with self.database.writing() as connection:
            for chunk in chunks:
                titles = dict(chunk)
                changed = [
                    Change(row.number, titles[row.item_id], row.removed)
                    for row in self._rows(connection, ids.c.item_id, list(titles))
                    if row.title != titles[row.item_id]
                ]
                change_items(connection, self.tokenizer.number, changed)
                progress(len(chunk))

    def remove(self, item_id: str) -> bool:
        """Remove an item from all tokenizers and return whether it was there."""
        return NUL not in item_id and remove_item(self.database, item_id)

    def _add(
        self,
        connection: Connection,
        items: Sequence[NewItem],
        reassign: Reassign | None = None,
        *,
        restore: bool = True,
    ) -> list[tuple[RegisteredItem, bool]]:
        item_ids = [item.item_id for item in items]
        known = {row.item_id: row for row in self._rows(connection, ids.c.item_id, item_ids)}
        new = [row for row, item in enumerate(items) if item.item_id not in known]
        fresh = [items[row] for row in new]
        following = self._next_suffixes(connection, fresh)
        if reassign is not None:
            taken = TakenCodes(following, partial(self._full_below, connection))
            codes, distortion = reassign(new, taken)
            given = zip(fresh, codes.tolist(), distortion.tolist(), strict=True)
            fresh = [replace(i, codes=tuple(c), distortion=d, suffix=0) for i, c, d in given]
        entries = {item_id: RegisteredItem.of(row) for item_id, row in known.items()}
        entries |= self._insert(connection, fresh, following)
        if restore:
            removed = {item_id: row for item_id, row in known.items() if row.removed}
            again = [item for item in items if item.item_id in removed]
            entries |= self._restore(connection, [(item, removed[item.item_id]) for item in again])
            fresh += again
        kept = {entries[i.item_id].number: i.vector for i in fresh if i.vector is not None}
        insert_vectors(connection, kept)
        return [(entries[item_id], item_id not in known) for item_id in item_ids]

    def _insert(
        self, connection: Connection, items: Sequence[NewItem], following: dict[bytes, int]
    ) -> dict[str, RegisteredItem]:
        if not items:
            return {}
        suffixes: list[int] = []
        rows: list[dict[str, object]] = []
        first = newest_change(connection, self.tokenizer.number) + 1
        for change, item in enumerate(items, first):
            key = key_of(item.codes)
            suffix = following.get(key, 0) if item.suffix is None else item.suffix
            following[key] = max(following.get(key, 0), suffix + 1)
            suffixes.append(suffix)
            rows.append(
                {
                    "tokenizer": self.tokenizer.number,
                    "item_id": item.item_id,
                    "codes": key,
                    "suffix": suffix,
                    "distortion": item.distortion,
                    "title": item.title,
                    "removed": False,
                    "change": change,
                }
            )
        numbers = {row.item_id: row.number for row in connection.execute(_insert, rows)}
        change_counts(connection, self.tokenizer.number, [(key_of(i.codes), 1) for i in items])
        add_words(connection, [(numbers[item.item_id], item.title) for item in items])
        return {
            item.item_id: RegisteredItem(
                numbers[item.item_id], item.item_id, item.codes, suffix, item.distortion, item.title
            )
            for item, suffix in zip(items, suffixes, strict=True)
        }

    def _restore(
        self, connection: Connection, items: Sequence[tuple[NewItem, sql.Row[Any]]]
    ) -> dict[str, RegisteredItem]:
        """Restore removed items, given with their rows; a given title replaces the old one."""
        back = [(r, item.title or r.title) for item, r in items]
        changes = [Change(r.number, title, removed=False) for r, title in back]
        change_items(connection, self.tokenizer.number, changes)
        return {r.item_id: replace(RegisteredItem.of(r), title=title) for r, title in back}

    def _next_suffixes(self, connection: Connection, items: Sequence[NewItem]) -> dict[bytes, int]:
        keys = [key_of(item.codes) for item in items]
        following: dict[bytes, int] = {}
        for start in range(0, len(keys), CHUNK):
            asked = {"tokenizer": self.tokenizer.number, "codes": keys[start : start + CHUNK]}
            found = connection.execute(_next_suffix_query, asked)
            following.update((bytes(key), suffix) for key, suffix in found)
        return following

    def _full_below(
        self, connection: Connection, prefix: tuple[int, ...], room: int
    ) -> list[bytes]:
        """Return the keys one code longer than `prefix` that at least `room` items start with.

        Removed items count: they keep their IDs.
        """
        longer = first_codes(len(prefix) + 1)
        query = (
            sql.select(longer)
            .where(self._own, starts_with(prefix))
            .group_by(longer)
            .having(sql.func.count() >= min(room, MAX_INTEGER))
        )
        return [bytes(key) for key in connection.scalars(query)]


def _check_same(item: NewItem, known: RegisteredItem) -> None:
    if (item.codes, item.suffix) != (known.codes, known.suffix):
        asked = format_semantic_id(item.codes, item.suffix or 0)
        raise InputError(
            f"item {item.item_id!r} has {known.semantic_id} in the database and {asked} in the "
            f"table of IDs; an ID never changes; use the table that belongs to the database, or a "
            f"new --database"
        )
