"""Folded texts: a search in them finds a word in any spelling of case, accents or Unicode."""

import re
import unicodedata

__all__ = ["folded", "folded_title"]

_ACCENTS = re.compile("[\u0300-\u036f]")


def folded(text: str) -> str:
    """Return a text without case, accents and different Unicode forms of one character.

    The steps are compatibility decomposition, case folding (Unicode, D145 to D146), and removal of
    combining diacritical marks. Marks of other scripts stay, since they make other letters.
    """
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", parts))


def folded_title(title: str | None) -> str | None:
    """Return a folded title; None stays None."""
    return None if title is None else folded(title)
