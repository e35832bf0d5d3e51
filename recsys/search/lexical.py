"""BM25 over the items' texts (bm25s, variant of Lucene), and the fusion of two rankings."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from recsys.search.data.dataset import Rows

__all__ = ["Bm25", "fused"]

WORD = re.compile(r"(?u)\w+")
RANK_CONSTANT = 60  # of reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009)


class Bm25:
    """An index of texts, which are split into lower-case words; queries are split alike."""

    def __init__(self, texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        """Index texts; the number of a text is its place.

        Raises:
            InputError: no text has a word; or bm25s is not installed.
        """
        import bm25s

        self._vocabulary: dict[str, int] = {}
        # Texts of equal score keep the index's order, in which the catalogue's order wins nothing.
        self._drawn = np.random.default_rng(0).permutation(len(texts))
        ids = [self._ids(texts[number], grow=True) for number in self._drawn.tolist()]
        if not self._vocabulary:
            raise InputError("no item has a text with a word; BM25 needs one")
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._index.index((ids, self._vocabulary), create_empty_token=False, show_progress=False)
        self._items = len(texts)

    def lists(self, queries: Sequence[str], k: int) -> Rows:
        """Return the k best texts for each query, best first: (n, k) int64.

        -1 follows the last text that shares a word with the query. Texts of equal score stand in
        random order.
        """
        found = np.full((len(queries), min(k, self._items)), -1, dtype=np.int64)
        for row, query in zip(found, queries, strict=True):
            if ids := self._ids(query, grow=False):
                best = _best(self._index.get_scores(ids), len(row))
                row[: len(best)] = self._drawn[best]
        return found

    def _ids(self, text: str, *, grow: bool) -> list[int]:
        words = WORD.findall(text.lower())
        if grow:
            return [self._vocabulary.setdefault(word, len(self._vocabulary)) for word in words]
        known = (self._vocabulary.get(word) for word in dict.fromkeys(words))
        return [number for number in known if number is not None]


def fused(first: Rows, second: Rows, k: int) -> Rows:
    """Return the k best items (n, k) by the sum of 1 / (60 + place) over two rankings.

    Args:
        first, second: (n, depth) int64, best first, -1 after the last. Of equal sums the item of
            `first` wins.
    """
    rows = []
    for lists in zip(first.tolist(), second.tolist(), strict=True):
        scores: dict[int, float] = {}
        for places in lists:
            for place, item in enumerate(places, start=1):
                if item >= 0:
                    scores[item] = scores.get(item, 0.0) + 1 / (RANK_CONSTANT + place)
        best = sorted(scores, key=lambda item: -scores[item])[:k]
        rows.append(best + [-1] * (k - len(best)))
    return np.asarray(rows, dtype=np.int64)


def _best(scores: NDArray[np.float32], k: int) -> Rows:
    """Return the places of the k highest scores above 0, highest first.

    Few texts share a word with a query, so that only their scores are put in order.
    """
    places = np.flatnonzero(scores)
    if len(places) > k:
        places = places[np.argpartition(-scores[places], k - 1)[:k]]
    order: Rows = places[np.argsort(-scores[places], kind="stable")]
    return order
