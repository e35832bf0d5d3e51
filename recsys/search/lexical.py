"""BM25 over the items' texts (bm25s, variant of Lucene), and the fusion of two rankings."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from data_prep.errors import InputError
from recsys.search.data.dataset import Rows

__all__ = ["Bm25", "fused"]

WORD = re.compile(r"(?u)\w+")
RANK_CONSTANT = 60  # of reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009)
AT_ONCE = 1000  # queries


class Bm25:
    """An index of texts, which are split into lower-case words; queries are split alike."""

    def __init__(self, texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        """Index texts; the number of a text is its place.

        Raises:
            InputError: no text has a word; or bm25s is not installed.
        """
        import bm25s

        self._vocabulary: dict[str, int] = {}
        ids = [self._ids(text, grow=True) for text in texts]
        if not self._vocabulary:
            raise InputError("no item has a text with a word; BM25 needs one")
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._index.index((ids, self._vocabulary), create_empty_token=False, show_progress=False)
        self._items = len(texts)

    def lists(self, queries: Sequence[str], k: int) -> Rows:
        """Return the k best texts for each query, best first: (n, k) int64.

        -1 follows the last text that shares a word with the query.
        """
        k = min(k, self._items)
        return np.concatenate([self._some(part, k) for part in _parts(queries)])

    def _some(self, queries: Sequence[str], k: int) -> Rows:
        ids = [self._ids(query, grow=False) for query in queries]
        found = np.full((len(queries), k), -1, dtype=np.int64)
        asked = [row for row, known in enumerate(ids) if known]
        if asked:
            items, scores = self._index.retrieve(
                [ids[row] for row in asked], k=k, show_progress=False, n_threads=0
            )
            found[asked] = np.where(scores > 0, items.astype(np.int64), -1)
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


def _parts(queries: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(queries), AT_ONCE):
        yield queries[start : start + AT_ONCE]
