"""The words that tell groups of titles apart."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["shares", "top_words", "words_of"]

WORD = re.compile(r"[^\W\d_][\w'’-]*")
# Japanese and Chinese write no spaces between words, so that their words are pairs of characters.
UNSPACED = re.compile("[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
MOST = 4
LEAST_LIFT = 1.25  # how much more common a word must be in a group than elsewhere


def words_of(title: str | None) -> frozenset[str]:
    """Return the words of a title in lower case; of Japanese and Chinese, pairs of characters."""
    if not title:
        return frozenset()
    text = unicodedata.normalize("NFKC", title).lower()
    found: set[str] = set()
    for run in UNSPACED.findall(text):
        found.update([run] if len(run) == 1 else map("".join, pairwise(run)))
    found.update(word for word in WORD.findall(UNSPACED.sub(" ", text)) if len(word) > 1)
    return frozenset(found)


def shares(titles: Sequence[frozenset[str]]) -> dict[str, float]:
    """Return the share of the titles that have each word."""
    counts = Counter(word for words in titles for word in words)
    return {word: count / len(titles) for word, count in counts.items()}


def top_words(
    groups: Sequence[Sequence[frozenset[str]]],
    sizes: Sequence[int],
    background: Mapping[str, float],
    most: int = MOST,
) -> list[tuple[str, ...]]:
    """Return each group's words that are more common in it than elsewhere, best first.

    A word with share p in the group, and q elsewhere, scores p log(p / q), its part of the
    Kullback-Leibler divergence. Elsewhere is half the groups together, half the background: so a
    word counts that all of these groups have and the rest of the catalogue has not.

    Args:
        groups: words of the titles of each group, or of a sample.
        sizes: number of items of each group.
        background: shares of words in the whole catalogue.
        most: largest number of words of a group.
    """
    own = [shares(group) for group in groups]
    total = sum(sizes)
    together: Counter[str] = Counter()
    for each, size in zip(own, sizes, strict=True):
        for word, share in each.items():
            together[word] += share * size / total  # type: ignore[assignment]
    found: list[tuple[str, ...]] = []
    for group, each in zip(groups, own, strict=True):
        least = 1.5 / len(group) if len(group) > 2 else 0  # a word of one title names no group
        lifts = {
            word: share / (together[word] / 2 + background.get(word, 0) / 2)
            for word, share in each.items()
            if share >= least
        }
        scores = {
            word: each[word] * math.log(lift) for word, lift in lifts.items() if lift >= LEAST_LIFT
        }
        found.append(tuple(sorted(scores, key=lambda word: (-scores[word], word)))[:most])
    return found
