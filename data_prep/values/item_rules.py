"""The rules for an item's id, texts and other fields.

Files, requests and imports read items through these functions, so that an item is the same in each
of them. A ValueError gives the reason; the caller adds the place.
"""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

import orjson

from data_prep.text import as_text, text_fault

__all__ = [
    "ID_PATTERN",
    "LONGEST_ID",
    "LONGEST_TITLE",
    "MOST_CATEGORIES",
    "TITLE_CONTROLS",
    "category_path",
    "id_fault",
    "id_text",
    "price_of",
    "text_of",
    "title_fault",
]

LONGEST_ID = 512  # bytes in UTF-8; an index of PostgreSQL holds no key beyond 2,704
LONGEST_TITLE = 65_536  # bytes in UTF-8
MOST_CATEGORIES = 1000  # names in one path
FIRST_INEXACT = 2**53  # from here on several whole numbers share one float
CONTROLS = r"\x00-\x1f\x7f-\x9f"
# No control character, and at least one visible character. Python and Rust both read this pattern.
ID_PATTERN = rf"^[^{CONTROLS}]*[^\s{CONTROLS}][^{CONTROLS}]*$"
# A currency has letters or signs, as USD, zł or US$, and no digits.
_CURRENCY = r"[^\W\d_]{0,4}\.?\s*[^\w\s.,'’%/+-]?"
_NUMBER = r"[+-]?\d[\d.,'’\s]*(?<=\d)|[+-]?\d"
_PRICE = re.compile(rf"(?:{_CURRENCY})\s*(?P<number>{_NUMBER})\s*(?:{_CURRENCY})")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,(?:\d{1,2}|\d{4,})")
# Groups of two digits are India's: 1,23,456.
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?|[+-]?\d{1,3}(?:\.\d{3})+")
_CONTROL = re.compile(f"[{CONTROLS}]")
# In no title; tabs and line breaks are allowed. Python and Rust both read this pattern.
TITLE_CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_TITLE_CONTROL = re.compile(TITLE_CONTROLS)


def id_text(value: object) -> str:
    """Return an id as text: a text unchanged, a whole number without a fraction.

    Raises:
        ValueError: the value is neither text nor number, or is a number that is not whole or that a
            float may have rounded.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is neither a text nor a whole number")  # noqa: TRY004 # of the value
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value) or value != int(value):
        raise ValueError("is a number that is not whole; write it as text")
    if isinstance(value, float) and abs(value) >= FIRST_INEXACT:
        raise ValueError(
            "is a floating-point number too large to be exact; write it as text or as an integer"
        )
    return str(int(value))


def id_fault(item_id: str) -> str | None:
    """Return the fault of an item's or a user's id; None if it is valid."""
    if fault := text_fault(item_id):
        return fault
    if not item_id.strip():
        return "is empty"
    if (size := len(item_id.encode())) > LONGEST_ID:
        return f"has {size} bytes; at most {LONGEST_ID} are allowed"
    if found := _CONTROL.search(item_id):
        return f"holds the control character U+{ord(found[0]):04X}"
    return None


def title_fault(title: str) -> str | None:
    """Return the fault of a title, None if it is valid; tabs and line breaks are valid."""
    if fault := text_fault(title):
        return fault
    if len(title) > LONGEST_TITLE // 4 and (size := len(title.encode())) > LONGEST_TITLE:
        return f"has {size} bytes; at most {LONGEST_TITLE} are allowed"
    if found := _TITLE_CONTROL.search(title):
        return f"holds the control character U+{ord(found[0]):04X}"
    return None


def text_of(value: object) -> str | None:
    """Return a text field: a text unchanged, a list or a struct joined as by `as_text`."""
    if value is None or isinstance(value, str):
        return value
    return as_text(value) or None


def category_path(value: object, separator: str = ">") -> list[str | None] | None:
    """Return one path of categories, from the widest to the narrowest.

    Args:
        value: a list of names; several paths, of which the first is kept; or a text: names between
            separators, or a written list, as `"['Food', 'Tea']"`.

    Raises:
        ValueError: the value is none of these, or has more than `MOST_CATEGORIES` names.
    """
    if isinstance(value, str):
        listed = _written_list(value)
        value = _split(value, separator) if listed is None else listed
    if value is None:
        return None
    if not isinstance(value, Sequence):
        raise ValueError("is not a list of names; give a list, or one text with separators")  # noqa: TRY004
    names: Sequence[object] = value
    first = next((part for part in names if part is not None), None)
    if _is_list(first):
        names = cast("Sequence[object]", first)
    if any(isinstance(part, Mapping) or _is_list(part) for part in names):
        raise ValueError("holds lists or structs among the names; give a list of names")
    if len(names) > MOST_CATEGORIES:
        raise ValueError(f"has {len(names)} names; at most {MOST_CATEGORIES} are allowed")
    return [text_of(part) for part in names]


def price_of(value: object) -> float | None:
    """Return a price; None for an empty value.

    A text may have a currency before or after the number (`28.00 USD`, `€ 1.234,50`). Of two kinds
    of marks in the number, the last one is the decimal mark. A single comma is one too unless three
    digits follow it.

    Raises:
        ValueError: the value is not a finite number.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str | int | float | Decimal):
        try:
            price = float(value)
        except (ValueError, OverflowError):
            price = _with_currency(value) if isinstance(value, str) else math.nan
        if math.isfinite(price):
            return price
    raise ValueError("is not a finite number")


def _with_currency(text: str) -> float:
    """Return the number of a text such as `1.234,50 EUR`; NaN if there is not one number."""
    found = _PRICE.fullmatch(text.strip())
    if found is None:
        return math.nan
    if re.search(r"[\s'’](?!\d{3}(?!\d))", found["number"]):
        return math.nan
    number = re.sub(r"[\s'’]", "", found["number"])
    comma, point = number.rfind(","), number.rfind(".")
    if comma > point and (point >= 0 or _DECIMAL_COMMA.fullmatch(number)):
        number = number.replace(".", "").replace(",", ".")
    elif comma >= 0 or number.count(".") > 1:
        if not _THOUSANDS.fullmatch(number):
            return math.nan
        number = number.replace(",", "") if comma >= 0 else number.replace(".", "")
    return float(number)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _split(text: str, separator: str) -> list[str] | None:
    if not text.strip():
        return None
    return [name for part in text.split(separator) if (name := part.strip())]


def _written_list(text: str) -> list[object] | None:
    """Return the list that a text contains in JSON or Python syntax; None if there is none."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        listed = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None
    return listed if isinstance(listed, list) else None
