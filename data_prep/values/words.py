"""The words of a title and of a search, the same for every database."""

import re
import sys
import unicodedata
from functools import lru_cache
from itertools import groupby

from data_prep.values.folding import folded

__all__ = ["has_terms", "query_terms", "title_words"]

LONGEST = 255  # characters of a word; longer ones are cut, in titles and searches alike
# Scripts that are written without spaces: each character is a word, and neighbours are a phrase.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3005-\u3007\u3021-\u3029\u3038-\u303b"
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_ASCII_WORD = re.compile("[a-z0-9]+")


def title_words(title: str | None) -> list[str]:
    """Return the words of a title in order: runs of letters and digits, without case and accents.

    Combining marks belong to their letter's word. In scripts without spaces each character is a
    word.
    """
    return [] if title is None else [word[:LONGEST] for word in _words(folded(title))]


def query_terms(text: str) -> list[list[str]]:
    """Return what a search for a text must find, each a list of words that follow each other.

    A term of one word is found by the beginning of a word; characters of scripts without spaces
    that stand side by side are one term.
    """
    terms: list[list[str]] = []
    for part in folded(text).split():
        for unspaced, words in groupby(_words(part), key=_is_unspaced):
            found = [word[:LONGEST] for word in words]
            terms += [found] if unspaced else [[word] for word in found]
    return terms


def has_terms(title: str | None, terms: list[list[str]]) -> bool:
    """Return whether a title has all terms of `query_terms`."""
    words = title_words(title)
    return all(
        any(word.startswith(term[0]) for word in words)
        if len(term) == 1
        else any(words[at : at + len(term)] == term for at in range(len(words)))
        for term in terms
    )


def _words(text: str) -> list[str]:
    return (_ASCII_WORD if text.isascii() else _word()).findall(text)


def _is_unspaced(word: str) -> bool:
    return len(word) == 1 and bool(_unspaced().fullmatch(word))


@lru_cache(maxsize=1)
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{UNSPACED}]")


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(
        character for character in every if unicodedata.category(character).startswith("M")
    )
    return re.compile(rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[{marks}])+")
