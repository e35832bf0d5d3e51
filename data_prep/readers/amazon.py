"""Amazon product data of 2014 (McAuley et al. 2015; He & McAuley 2016): reviews and metadata.

The original files hold one python literal a line, later copies strict JSON; both are read. HTML
entities in texts are unescaped. Of an item's category paths the first is kept.
"""

import ast
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from data_prep.errors import InputError
from data_prep.readers.catalogue import json_lines
from data_prep.sequences import in_time_order, k_core
from data_prep.tables import INTERACTIONS, ITEMS, check_interactions, check_items

__all__ = ["read_category", "read_metadata", "read_reviews"]


def read_category(
    reviews: Path, metadata: Path, least: int = 5
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read a category: interactions in time order, and the items that they speak of.

    Args:
        least: interactions of every user and item that stays.

    Raises:
        InputError: as `read_reviews` and `read_metadata`.
    """
    interactions = in_time_order(k_core(read_reviews(reviews), least))
    return interactions, read_metadata(metadata, keep=set(interactions["item_id"]))


def read_reviews(path: Path) -> pl.DataFrame:
    """Read reviews as interactions, in file order.

    Raises:
        InputError: a line that is neither JSON nor a python literal, or lacks a field.
    """
    rows = []
    for number, record in _records(path):
        try:
            row = (str(record["reviewerID"]), str(record["asin"]), int(record["unixReviewTime"]))
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: reviewerID, asin and a whole unixReviewTime are needed"
            ) from error
        rows.append((*row, "review"))
    frame = pl.DataFrame(rows, schema=INTERACTIONS, orient="row")
    return check_interactions(frame, path.name)


def read_metadata(path: Path, keep: set[str] | None = None) -> pl.DataFrame:
    """Read item metadata into the Items schema, in file order; fields beyond it are kept as text.

    Args:
        keep: the item ids wanted; all where None. The full metadata files hold far more items than
            a 5-core file of reviews speaks of.

    Raises:
        InputError: a line that is neither JSON nor a python literal, or has no `asin`; an item
            that comes twice.
    """
    rows: list[dict[str, Any]] = []
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
            "price": record.pop("price", None),
        }
        for name, value in record.items():
            if isinstance(value, str):
                row[name] = _text(value)
                further[name] = pl.String()
        rows.append(row)
    frame = pl.DataFrame(rows, schema={**ITEMS, **further}, orient="row", strict=False)
    return check_items(frame, path.name)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in json_lines(path):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            try:
                record = ast.literal_eval(line.decode())
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
                raise InputError(
                    f"{path}, line {number}: neither JSON nor a python literal; mend the line"
                ) from error
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number}: an object {{…}} is needed, one record a line")
        yield number, record


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
