"""Which columns of a log are the user, the item and the time of an event."""

from collections.abc import Mapping

import polars as pl

from data_prep.mapping.column_mapping import ColumnMapping, check_columns
from data_prep.mapping.column_names import plain_name

__all__ = ["EVENT_NAMES", "events_of"]

# Names without blanks, marks and case; the likelier ones first.
EVENT_NAMES: dict[str, tuple[str, ...]] = {
    "user_id": (
        "userid", "user", "customerid", "customer", "visitorid", "sessionid", "session",
        "reviewerid", "memberid", "clientid", "kundennr", "kundennummer", "kunde",
    ),
    "item_id": (
        "itemid", "item", "productid", "product", "sku", "stockcode", "articleid", "asin",
        "parentasin", "movieid", "bookid", "trackid", "handle",
    ),
    "timestamp": (
        "timestamp", "time", "datetime", "date", "invoicedate", "orderdate", "eventtime",
        "createdat", "purchasedat", "unixreviewtime", "datum", "ts",
    ),
    "event": ("event", "eventtype", "action", "behavior"),
}  # fmt: skip


def events_of(
    frame: pl.DataFrame, name: str, columns: Mapping[str, str]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return a log of events with our names, and which columns were taken by their names.

    A table of sequences, which has a column `history`, keeps its names.

    Args:
        frame: the log as it is in its file.
        name: name of the file in error messages.
        columns: our name → the file's, which the user gave.

    Raises:
        InputError: the file lacks a column that the user gave.
    """
    there = frame.columns
    check_columns(there, columns, (), name)
    guessed: dict[str, str] = {}
    if "history" not in there:
        plain: dict[str, str] = {}
        for each in there:
            plain.setdefault(plain_name(each), each)
        for ours, names in EVENT_NAMES.items():
            found = next((plain[each] for each in names if each in plain), None)
            used = {*columns.values(), *guessed.values()}
            if ours not in there and ours not in columns and found not in {None, *used}:
                guessed[ours] = str(found)
    return ColumnMapping(columns={**guessed, **columns}).frame(frame), guessed
