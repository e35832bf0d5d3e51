"""Samples of the items under each prefix, and the sizes of prefixes, from the registry."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from service.registry.entries import codes_of, key_of
from service.registry.migrations.schema import ids, owned_by, prefixes
from service.registry.prefix_counts import kept_levels
from service.registry.reader import RegistryReader, first_codes, starts_with

__all__ = ["PrefixSizes", "SampledItem", "drawn_items", "sampled_items", "sizes_below"]

# The order of (number × FACTOR) mod PRIME is as good as random, and the same on every database.
FACTOR, PRIME = 7919, 10_007
MOST_READ = 25_000  # items that are ordered; of more, a part is drawn first
MOST_COUNTED = 200_000  # items whose long prefixes are counted


@dataclass(frozen=True)
class SampledItem:
    """An item of a sample, with the code that its prefix is longer by."""

    number: int
    item_id: str
    codes: tuple[int, ...]
    title: str | None


@dataclass(frozen=True)
class PrefixSizes:
    """The prefixes of one length below a prefix.

    Attributes:
        length: number of codes.
        prefixes: number of prefixes that have items.
        largest: number of items of the largest.
        single: number of prefixes that have one item.
    """

    length: int
    prefixes: int
    largest: int
    single: int


def sampled_items(
    registry: RegistryReader, prefix: tuple[int, ...], each: int, items: int
) -> list[SampledItem]:
    """Return up to `each` items of every prefix that is one code longer than `prefix`.

    Args:
        items: number of items under `prefix`; beyond `MOST_READ` a rare prefix may be left out.
    """
    drawn = ids.c.number * FACTOR % PRIME
    part = first_codes(len(prefix) + 1)
    place = sql.func.row_number().over(partition_by=part, order_by=(drawn, ids.c.number))
    query = sql.select(ids.c.number, ids.c.item_id, ids.c.codes, ids.c.title, place.label("place"))
    if items <= MOST_READ:
        query = query.where(*_under(registry, prefix))
    elif prefix:
        query = query.where(*_under(registry, prefix), drawn < max(1, PRIME * MOST_READ // items))
    else:
        query = _every(query, registry, items // MOST_READ)
    ranked = query.subquery()
    chosen = sql.select(ranked).where(ranked.c.place <= each).order_by(ranked.c.codes)
    with registry.database.reading() as connection:
        return [
            SampledItem(row.number, row.item_id, codes_of(row.codes), row.title)
            for row in connection.execute(chosen)
        ]


def drawn_items(registry: RegistryReader, most: int, items: int) -> list[SampledItem]:
    """Return about `most` of all items, evenly over the order of arrival; all if they are fewer.

    Args:
        items: number of all items.
    """
    query = sql.select(ids.c.number, ids.c.item_id, ids.c.codes, ids.c.title)
    if items > most:
        query = _every(query, registry, items // most)
    else:
        query = query.where(*_under(registry, ()))
    with registry.database.reading() as connection:
        return [
            SampledItem(row.number, row.item_id, codes_of(row.codes), row.title)
            for row in connection.execute(query.order_by(ids.c.number).limit(2 * most))
        ]


def sizes_below(registry: RegistryReader, prefix: tuple[int, ...], items: int) -> list[PrefixSizes]:
    """Return the sizes of the prefixes of each length that start with `prefix`.

    Args:
        items: number of items under `prefix`; of more than `MOST_COUNTED`, only the lengths whose
            counts are kept are answered.
    """
    levels = registry.tokenizer.levels
    longest = levels if items <= MOST_COUNTED else kept_levels(levels)
    found = []
    with registry.database.reading() as connection:
        for length in range(len(prefix) + 1, longest + 1):
            counts = _counts(registry, prefix, length).subquery()
            alone = sql.func.sum(sql.case((counts.c.size == 1, 1), else_=0))
            query = sql.select(sql.func.count(), sql.func.max(counts.c.size), alone)
            number, largest, single = connection.execute(query.select_from(counts)).one()
            if number:
                found.append(PrefixSizes(length, number, int(largest), int(single)))
    return found


def _counts(registry: RegistryReader, prefix: tuple[int, ...], length: int) -> sql.Select[int]:
    """Return the query for the number of items of each prefix of a length: kept, or counted."""
    if length <= kept_levels(registry.tokenizer.levels):
        low, most = key_of(prefix), b"\xff\xff" * (length - len(prefix))
        return sql.select(prefixes.c["items"].label("size")).where(
            prefixes.c.tokenizer == registry.tokenizer.number,
            prefixes.c.length == length,
            prefixes.c.prefix.between(low, low + most),
            prefixes.c["items"] > 0,
        )
    return (
        sql.select(sql.func.count().label("size"))
        .where(*_under(registry, prefix))
        .group_by(first_codes(length))
    )


def _every(query: sql.Select[Any], registry: RegistryReader, stride: int) -> sql.Select[Any]:
    """Restrict a query of the table `ids` to one row of `stride`: these are read, and no other.

    The place within each stride moves on, so that tokenizers whose rows alternate all have their
    share: about n / stride of n items.
    """
    last = sql.select(sql.func.max(ids.c.number)).scalar_subquery()
    every = sql.select(sql.cast(0, ids.c.number.type).label("step")).cte("every", recursive=True)
    following = every.c.step + 1
    every = every.union_all(sql.select(following).where(following * stride < last))
    number = every.c.step * stride + every.c.step * FACTOR % stride + 1
    return query.select_from(every.join(ids, ids.c.number == number)).where(
        owned_by(registry.tokenizer.number), sql.not_(ids.c.removed)
    )


def _under(registry: RegistryReader, prefix: tuple[int, ...]) -> list[sql.ColumnElement[bool]]:
    own = ids.c.tokenizer == registry.tokenizer.number
    return [own, sql.not_(ids.c.removed), starts_with(prefix)]
