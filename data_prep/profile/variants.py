"""Which columns tell items with one text apart, and which one says that they are variants."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from data_prep.mapping.column_names import plain_name

__all__ = ["VariantColumns", "variant_columns"]

PARENTS = ("parent", "group", "master", "style", "handle")  # parts of names of what variants share
MOST_VALUES = 0.2  # distinct values an item, of a column that belongs into a text
MOST = 3
TELLS = 0.1  # share of the items with another's text that a column has to tell apart


@dataclass(frozen=True)
class VariantColumns:
    """Columns of a catalogue in which items share their text with others.

    Attributes:
        apart: columns that tell such items apart, the best first.
        parent: the column that has one value for all items of a text; None if there is none.
    """

    apart: tuple[str, ...] = ()
    parent: str | None = None


def variant_columns(
    items: pl.DataFrame, texts: Sequence[str], fields: Sequence[str]
) -> VariantColumns:
    """Find the columns that tell items with the same text apart.

    Args:
        items: (n,), the table of the items.
        texts: n.
        fields: columns that make the texts.
    """
    named = items.with_columns(pl.Series("\0text", texts, dtype=pl.String))
    alike = named.filter(pl.col("\0text").is_duplicated())
    groups = alike["\0text"].n_unique()
    gained: dict[str, int] = {}
    parent = None
    for name, dtype in items.schema.items():
        simple = dtype == pl.String or dtype.is_integer()
        if name in (*fields, "item_id", "text") or not simple or not groups:
            continue
        pairs = alike.select("\0text", name).drop_nulls(name).n_unique()
        values = alike[name].drop_nulls().n_unique()
        if pairs == values == groups and any(part in plain_name(name) for part in PARENTS):
            parent = parent or name
            continue
        few = values <= MOST_VALUES * items.height
        if few and pairs - groups >= TELLS * alike.height and _worded(alike[name]):
            gained[name] = pairs
    best = sorted(gained, key=lambda name: -gained[name])[:MOST]
    return VariantColumns(tuple(best), parent)


def _worded(column: pl.Series) -> bool:
    """Return whether most values have letters; numbers tell an encoder nothing."""
    given = column.drop_nulls()
    if given.dtype != pl.String or not len(given):
        return False
    return int(given.str.contains(r"\p{L}").sum()) > len(given) / 2
