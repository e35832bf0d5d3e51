"""Kept counts of the items under each short prefix, changed in the transaction of each write.

Prefixes of up to half of the levels are kept; longer ones have few items and are counted.
"""

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from service.registry.entries import PrefixCount, codes_of, key_of
from service.registry.migrations.schema import ids, prefixes

__all__ = ["change_counts", "kept_count", "kept_levels", "kept_next_codes"]

CODE = 2  # bytes of a code in a key
CHUNK = 5000
TITLED = 16  # items of a prefix that are looked at for a title
_live = sql.not_(ids.c.removed)


def kept_levels(levels: int) -> int:
    """Return the length of the longest prefixes that are kept."""
    return max(1, min(levels - 1, (levels + 1) // 2))


def change_counts(
    connection: Connection, tokenizer: int, keys: Iterable[tuple[bytes, int]]
) -> None:
    """Add to the counts of the prefixes of items; `connection` must be in a write transaction.

    Args:
        keys: the codes of each item, packed as by `key_of`, with 1 for an item that comes and −1
            for one that goes.
    """
    changes: Counter[bytes] = Counter()
    width = 0
    for key, change in keys:
        width = len(key)
        changes[key] += change
    if not width:
        return
    counts: Counter[bytes] = Counter()
    for length in range(1, kept_levels(width // CODE) + 1):
        for key, change in changes.items():
            counts[key[: CODE * length]] += change
    rows = [
        {
            "tokenizer": tokenizer,
            "length": len(prefix) // CODE,
            "prefix": prefix,
            "last": prefix + b"\xff" * (width - len(prefix)),
            "items": change,
        }
        for prefix, change in sorted(counts.items())
        if change
    ]
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(prefixes)
    upsert = insert.on_conflict_do_update(
        index_elements=["tokenizer", "length", "prefix"],
        set_={"items": prefixes.c["items"] + insert.excluded["items"]},
    )
    for first in range(0, len(rows), CHUNK):
        connection.execute(upsert, rows[first : first + CHUNK])


def kept_count(connection: Connection, tokenizer: int, prefix: tuple[int, ...]) -> int:
    """Return the number of items under a kept prefix, or of all items under the empty one."""
    query = sql.select(sql.func.sum(prefixes.c["items"])).where(
        prefixes.c.tokenizer == tokenizer, prefixes.c.length == max(1, len(prefix))
    )
    if prefix:
        query = query.where(prefixes.c.prefix == key_of(prefix))
    return int(connection.scalar(query) or 0)


def kept_next_codes(
    connection: Connection, tokenizer: int, prefix: tuple[int, ...]
) -> list[PrefixCount]:
    """Return the kept prefixes that extend `prefix` by one code and have items, in code order.

    The example is the title of one of the first items under a prefix.
    """
    first = (
        sql.select(ids.c.title)
        .where(
            ids.c.tokenizer == prefixes.c.tokenizer,
            ids.c.codes.between(prefixes.c.prefix, prefixes.c.last),
            _live,
        )
        .order_by(ids.c.codes, ids.c.suffix)
        .limit(TITLED)
        .correlate(prefixes)
        .subquery()
    )
    title = (
        sql.select(first.c.title)
        .where(first.c.title.is_not(None))
        .limit(1)
        .correlate(prefixes)
        .scalar_subquery()
    )
    low = key_of(prefix)
    query = (
        sql.select(prefixes.c.prefix, prefixes.c["items"], title)
        .where(
            prefixes.c.tokenizer == tokenizer,
            prefixes.c.length == len(prefix) + 1,
            prefixes.c.prefix.between(low, low + b"\xff\xff"),
            prefixes.c["items"] > 0,
        )
        .order_by(prefixes.c.prefix)
    )
    rows = connection.execute(query).all()
    return [PrefixCount(codes_of(bytes(key)), items, example) for key, items, example in rows]
