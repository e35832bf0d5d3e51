"""Texts folded, so that a search finds a word however it is written."""

import re
import unicodedata

__all__ = ["folded", "folded_title"]

_ACCENTS = re.compile("[\u0300-\u036f]")


def folded(text: str) -> str:
    """Return a text without case, accents and Unicode's several forms of one character.

    Compatibility decomposition, case folding (Unicode, D145 to D146), no combining diacritical
    marks; marks of other scripts, which make other letters, stay.
    """
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", parts))


def folded_title(title: str | None) -> str | None:
    """Return a title folded, None for none."""
    return None if title is None else folded(title)
