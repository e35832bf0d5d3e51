"""Amazon product data of 2014 (McAuley et al. 2015; He & McAuley 2016): reviews and metadata.

The original files have one Python literal a line, later copies strict JSON; both are read. HTML
entities in texts are unescaped. Only the first of an item's category paths is kept.
"""

import ast
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from data_prep.errors import InputError
from data_prep.readers.lines import json_lines, json_value
from data_prep.sequences import in_time_order, k_core
from data_prep.tables import ITEMS, check_interactions, check_items
from data_prep.values.columns import Source
from data_prep.values.item_rules import id_text, price_of

__all__ = ["read_category", "read_metadata", "read_reviews"]


def read_category(
    reviews: Path, metadata: Path, least: int = 5
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a category: interactions in time order, and the items in them.

    Args:
        least: users and items with fewer interactions are dropped, until none is left.

    Raises:
        InputError: as `read_reviews` and `read_metadata`.
    """
    interactions = in_time_order(k_core(read_reviews(reviews), least))
    return interactions, read_metadata(metadata, keep=set(interactions["item_id"]))


def read_reviews(path: Path) -> pl.DataFrame:
    """Read reviews as interactions, in file order.

    Raises:
        InputError: a line is neither JSON nor a Python literal, or lacks a field; or a time is
            invalid.
    """
    rows, lines = [], []
    for number, record in _records(path):
        try:
            user, item = id_text(record["reviewerID"]), id_text(record["asin"])
            rows.append((user, item, record["unixReviewTime"], "review"))
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{path}, line {number}: reviewerID, asin and a whole unixReviewTime are needed"
            ) from error
        lines.append(number)
    users, items, times, events = zip(*rows, strict=True) if rows else ((),) * 4
    frame = pl.DataFrame(
        [
            pl.Series("user_id", users, dtype=pl.String),
            pl.Series("item_id", items, dtype=pl.String),
            pl.Series("timestamp", times, dtype=pl.Object),
            pl.Series("event", events, dtype=pl.String),
        ]
    )
    return check_interactions(frame, Source(path.name, lines))


def read_metadata(path: Path, keep: set[str] | None = None) -> pl.DataFrame:
    """Read item metadata into the Items schema, in file order; other fields are kept as text.

    Args:
        keep: ids of the items to read; None for all. The full metadata files have far more items
            than a 5-core file of reviews.

    Raises:
        InputError: a line is neither JSON nor a Python literal, or has no `asin`; an item occurs
            twice; or a price is not a number.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    further: dict[str, pl.DataType] = {}
    for number, record in _records(path):
        if not isinstance(record.get("asin"), str):
            raise InputError(f"{path}, line {number}: no field 'asin' with a text")
        if keep is not None and record["asin"] not in keep:
            continue
        row = {
            "item_id": record.pop("asin"),
            "title": _text(record.pop("title", None)),
            "brand": _text(record.pop("brand", None)),
            "description": _text(record.pop("description", None)),
            "categories": _first_path(record.pop("categories", None)),
            "price": _price(path, number, record.pop("price", None)),
        }
        for name, value in record.items():
            if isinstance(value, str):
                row[name] = _text(value)
                further[name] = pl.String()
        rows.append(row)
        lines.append(number)
    try:
        frame = pl.DataFrame(rows, schema={**ITEMS, **further}, orient="row")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: a text holds half of a surrogate pair ({error.object[:40]!r}); correct it"
        ) from error
    return check_items(frame, Source(path.name, lines))


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in json_lines(path):
        try:
            record = json_value(line)
        except orjson.JSONDecodeError:
            try:
                record = ast.literal_eval(line.decode())
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
                raise InputError(
                    f"{path}, line {number}: neither JSON nor a Python literal; correct the line"
                ) from error
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: an object {{…}} is needed, one record a line")
        yield number, record


def _price(path: Path, line: int, value: object) -> float | None:
    try:
        return price_of(value)
    except ValueError as error:
        raise InputError(
            f"{path}, line {line}: price {value!r} {error}; correct it or leave it out"
        ) from error


def _text(value: object) -> str | None:
    if isinstance(value, list):
        value = " ".join(str(part) for part in value)
    if not isinstance(value, str):
        return None
    return " ".join(html.unescape(value).split()) or None


def _first_path(value: object) -> list[str] | None:
    path = value[0] if isinstance(value, list) and value and isinstance(value[0], list) else value
    if not isinstance(path, list):
        return None
    return [html.unescape(str(name)).strip() for name in path]
