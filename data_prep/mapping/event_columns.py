"""Which columns of a log are the user, the item and the time of an event."""

from collections.abc import Mapping

import polars as pl

from data_prep.mapping.column_mapping import ColumnMapping, check_columns
from data_prep.mapping.column_names import plain_name
from data_prep.readers.table_files import TableFile

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


def events_of(file: TableFile, columns: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return a log of events with our names, and which columns were taken by their names.

    A table of sequences, which has a column `history`, keeps its names.

    Args:
        columns: our name → the file's, which the user gave.

    Raises:
        InputError: the file lacks a column that the user gave.
    """
    there = file.frame.columns
    check_columns(there, columns, (), file.name)
    guessed: dict[str, str] = {}
    if "history" not in there:
        plain: dict[str, str] = {}
        for name in there:
            plain.setdefault(plain_name(name), name)
        for ours, names in EVENT_NAMES.items():
            found = next((plain[name] for name in names if name in plain), None)
            used = {*columns.values(), *guessed.values()}
            if ours not in there and ours not in columns and found not in {None, *used}:
                guessed[ours] = str(found)
    return ColumnMapping(columns={**guessed, **columns}).frame(file.frame), guessed
