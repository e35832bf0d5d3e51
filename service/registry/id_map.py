"""Maps an item's ID by one tokenizer to its ID by another."""

from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from service.registry.entries import codes_of
from service.registry.migrations.schema import ids, owned_by
from service.registry.tokenizers import EnrolledTokenizer
from tokenizer.ids.semantic_id import format_semantic_id

__all__ = ["MappedItem", "mapped_ids"]

_new = ids.alias("new")


@dataclass(frozen=True)
class MappedItem:
    """An item with its ID by an old tokenizer and by a new one (None if it has none)."""

    number: int
    item_id: str
    old: str
    new: str | None


def mapped_ids(
    connection: Connection, old: EnrolledTokenizer, new: EnrolledTokenizer, after: int, limit: int
) -> list[MappedItem]:
    """Return up to `limit` items of the tokenizer `old` with both IDs, in order of arrival.

    Args:
        after: number of the previous page's last item, 0 for the first page.
    """
    same = sql.and_(
        _new.c.item_id == ids.c.item_id,
        _new.c.tokenizer == new.number,
        sql.not_(_new.c.removed),
    )
    query = (
        sql.select(
            ids.c.number, ids.c.item_id, ids.c.codes, ids.c.suffix,
            _new.c.codes.label("new_codes"), _new.c.suffix.label("new_suffix"),
        )
        .select_from(ids.outerjoin(_new, same))
        .where(owned_by(old.number), sql.not_(ids.c.removed), ids.c.number > after)
        .order_by(ids.c.number)
        .limit(limit)
    )  # fmt: skip
    return [
        MappedItem(
            row.number,
            row.item_id,
            format_semantic_id(codes_of(row.codes), row.suffix),
            None
            if row.new_codes is None
            else format_semantic_id(codes_of(row.new_codes), row.new_suffix),
        )
        for row in connection.execute(query)
    ]
