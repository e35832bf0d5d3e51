"""Imports rows into the registry, one transaction a chunk; a stopped import goes on."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from data_prep.errors import InputError
from data_prep.progress import Progress
from service.registry.changes import newest_change
from service.registry.database import Database
from service.registry.entries import codes_of, key_of
from service.registry.exchange.bulk_insert import bulk_insert, wide_cache
from service.registry.exchange.import_file import ImportFile
from service.registry.exchange.titles import TitleStream
from service.registry.migrations.schema import ids, promotions, tokenizers
from service.registry.reader import CHUNK
from service.registry.tokenizers import enrol_in, enrolled_tokenizers

__all__ = ["import_registry"]

ROWS = 50_000  # of a transaction


def import_registry(
    database: Database,
    given: ImportFile,
    progress: Progress = lambda done: None,
    titles: TitleStream | None = None,
) -> int:
    """Add the rows of a file that the database lacks; return their number.

    The file is checked against itself and the database before anything is written. Then each
    chunk of rows is one transaction: an import that was stopped goes on where it ended.

    Args:
        given: the opened file.
        progress: called with the number of rows done.
        titles: titles of items that come without; those in the order of the rows are used.

    Raises:
        InputError: the file contradicts itself or the database. Nothing is added then.
    """
    path = given.path
    with database.reading() as connection:
        before = {one.fingerprint: one.number for one in enrolled_tokenizers(connection)}
        there = any(newest_change(connection, number) for number in before.values())
        given.check(ROWS)
        for rows in given.chunks(ROWS) if there else ():
            for number, own in _by_tokenizer(rows, before):
                _known_of(connection, number, own, given)
    with database.writing() as connection:
        numbers = {name: _enrolled(connection, name, given) for name in given.levels}
        if not before and given.levels:
            _set_default(connection, next(iter(given.levels)))
        if not there:
            wide_cache(connection)
    added = 0
    for rows in given.chunks(ROWS):
        titled = rows if titles is None else titles.titled(rows)
        try:
            with database.writing() as connection:
                for number, own in _by_tokenizer(titled, numbers):
                    known = _known_of(connection, number, own, given) if there else set()
                    fresh = own.filter(~pl.col("item_id").is_in(list(known))) if known else own
                    bulk_insert(connection, number, fresh)
                    added += fresh.height
        except sql.exc.IntegrityError as error:
            raise InputError(
                f"{path}: an ID belongs to another item in the database ({error.orig}); import "
                f"into the database that it comes from, or an empty one"
            ) from error
        progress(rows.height)
    return added


def _enrolled(connection: Connection, fingerprint: str, given: ImportFile) -> int:
    one = enrol_in(connection, fingerprint, given.levels[fingerprint])
    if one.levels != given.levels[fingerprint]:
        raise InputError(
            f"{given.path}: tokenizer {fingerprint} has {given.levels[fingerprint]} levels here "
            f"and {one.levels} in the database"
        )
    return one.number


def _by_tokenizer(
    rows: pl.DataFrame, numbers: dict[str, int]
) -> Iterator[tuple[int, pl.DataFrame]]:
    for fingerprint, number in numbers.items():
        own = rows.filter(pl.col("tokenizer") == fingerprint)
        if own.height:
            yield number, own


def _known_of(
    connection: Connection, tokenizer: int, rows: pl.DataFrame, given: ImportFile
) -> set[str]:
    """Return the items that the database has, the same as here.

    Raises:
        InputError: one of them differs, or its ID belongs to another item.
    """
    known: set[str] = set()
    for part in rows.iter_slices(CHUNK):
        here = {row["item_id"]: row for row in part.iter_rows(named=True)}
        keys = {key_of(row["codes"]): None for row in here.values()}
        query = sql.select(ids).where(ids.c.tokenizer == tokenizer)
        for row in connection.execute(query.where(ids.c.item_id.in_(list(here)))):
            _check_same(here[row.item_id], row, given)
            known.add(row.item_id)
        taken = {(codes_of(row.codes), row.suffix): row.item_id for row in connection.execute(
            query.where(ids.c.codes.in_(list(keys)))
        )}  # fmt: skip
        for new in here.values():
            owner = taken.get((tuple(new["codes"]), new["suffix"]), new["item_id"])
            if owner != new["item_id"]:
                raise InputError(
                    f"{given.path}: {new['semantic_id']} of item {new['item_id']!r} belongs to "
                    f"another item in the database, {owner!r}; nothing was imported; import into "
                    f"the database that it comes from, or an empty one"
                )
    return known


def _check_same(here: dict[str, Any], there: sql.Row[Any], given: ImportFile) -> None:
    own = {name: here[name] for name in ("suffix", "distortion", "removed")}
    own["codes"] = key_of(here["codes"])
    if "title" in given.table.columns:
        own["title"] = here["title"]
    differing = [name for name in own if getattr(there, name) != own[name]]
    if differing:
        raise InputError(
            f"{given.path}: item {here['item_id']!r} ({here['semantic_id']}) has another "
            f"{differing[0]} in the database; nothing was imported; import into the database that "
            f"it comes from, or an empty one"
        )


def _set_default(connection: Connection, fingerprint: str) -> None:
    number = sql.select(tokenizers.c.number).where(tokenizers.c.fingerprint == fingerprint)
    connection.execute(promotions.insert(), {"tokenizer": connection.scalar(number)})
