"""An inverted file whose lists are prefixes of semantic IDs, and whose stored codes are the IDs.

Each list holds the items whose IDs begin with one prefix. A search ranks the lists by the distance
of the query to what their prefix decodes to, and scans the nearest ones.

FAISS scans additive codes slowly, and product-quantizer codes fast. A residual code is also a
product-quantizer code of the L-fold repeated query: with sub-codebooks C₁…C_L the scan's sum of
look-ups is Σ⟨q, C_l[c_l]⟩ = ⟨q, x̂⟩. Three more sub-codebooks hold −‖x̂‖²/2 as a number of 24 bits,
so that the largest sum belongs to the smallest ‖q − x̂‖². The distances of what a scan finds are
then computed exactly.
"""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes

__all__ = ["MOST_CODEWORDS", "PrefixLists"]

MOST_CODEWORDS = 256  # codewords that one byte tells apart
MOST_LISTS = 2**16
NORM_BYTES = 3
SPARE = 8  # further results of a scan, among which rounding may have put one of the nearest
STRIDE = 16  # of the sample that bounds the nearest lists
ROWS = 2**14  # rows whose norms are computed at once: more would need new memory each time


class PrefixLists:
    """Lists of items by prefix; a thread that changes it must be alone, others may search.

    An item takes 8 bytes for its key, L + 3 for its code, and L + 1 by which it is found again.
    Keys are small numbers: what finds items again takes L + 1 bytes for each key up to the largest.
    """

    def __init__(self, codebooks: NDArray[np.float32]) -> None:
        """Make empty lists over codebooks (L, K, d), K ≤ `MOST_CODEWORDS`."""
        self._books = np.ascontiguousarray(codebooks, np.float32)
        levels, size, dimension = codebooks.shape
        self._depth = 1
        while self._depth < levels and size ** (self._depth + 1) <= MOST_LISTS:
            self._depth += 1
        lists, subspaces = size**self._depth, levels + NORM_BYTES
        self._coarse = faiss.IndexFlatIP(subspaces * dimension)  # never searched
        index = faiss.IndexIVFPQ(
            self._coarse, subspaces * dimension, lists, subspaces, 8, faiss.METRIC_INNER_PRODUCT
        )
        index.by_residual, index.is_trained = False, True
        self._index: Any = index
        # One step of the 24-bit number, so that no decoded latent's squared norm is beyond it.
        largest = float(np.linalg.norm(self._books, axis=2).max(axis=1).sum()) ** 2
        self._step = max(largest, 1e-30) / (2**24 - 1)
        faiss.copy_array_to_vector(self._subcodebooks().ravel(), index.pq.centroids)
        self._norms = self._prefix_norms()
        self._sizes = np.zeros(lists, np.int64)
        self._codes = np.empty((0, levels), np.uint8)  # by key
        self._there = np.empty(0, np.bool_)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def bytes_per_item(self) -> int:
        """Bytes of one item's semantic ID."""
        return int(self._codes.shape[1])

    @property
    def used(self) -> int:
        """Number of lists that hold items."""
        return int(np.count_nonzero(self._sizes))

    def add(self, keys: NDArray[np.int64], codes: Codes) -> None:
        """Add items with new keys (n,) and codes (n, L)."""
        if not len(keys):
            return
        own = np.ascontiguousarray(codes, np.uint8)
        self._make_room(int(keys.max()) + 1)
        self._codes[keys], self._there[keys] = own, True
        stored = np.concatenate([own, self._norm_bytes(own)], axis=1)
        lists = self._lists_of(own)
        order = np.argsort(lists, kind="stable")
        lists, ids, stored = lists[order], np.ascontiguousarray(keys[order]), stored[order]
        begins = np.flatnonzero(np.r_[True, lists[1:] != lists[:-1]])
        ends = np.r_[begins[1:], len(lists)]
        add = self._index.invlists.add_entries
        for which, begin, end in zip(lists[begins].tolist(), begins, ends, strict=True):
            rows = slice(begin, end)
            add(which, int(end - begin), faiss.swig_ptr(ids[rows]), faiss.swig_ptr(stored[rows]))
        self._sizes[lists[begins]] += ends - begins
        self._index.ntotal += len(keys)

    def remove(self, keys: NDArray[np.int64]) -> None:
        """Remove items by key (n,); unknown keys are ignored."""
        known = keys[(keys >= 0) & (keys < len(self._there))]
        known = np.unique(known[self._there[known]])
        for key, which in zip(known.tolist(), self._lists_of(self._codes[known]), strict=True):
            self._take_out(key, int(which))
        self._there[known] = False
        self._index.ntotal -= len(known)

    def contents(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the keys (n,), ascending, and codes (n, L) of all items."""
        keys = np.flatnonzero(self._there)
        return keys, self._codes[keys]

    def search(
        self, queries: NDArray[np.float32], k: int, probes: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return keys (n, k) and squared distances (n, k) to queries (n, d), nearest first.

        Args:
            probes: lists to scan for each query; at least `used` makes the result exact. Missing
                results have the key −1 and an infinite distance.
        """
        probes = min(max(probes, 1), len(self._sizes))
        keys = self._scan(queries, k + SPARE, self._nearest_lists(queries, probes))
        distances = np.full(keys.shape, np.inf, np.float32)
        row, column = np.nonzero(keys >= 0)
        decoded = self._decoded(self._codes[keys[row, column]])
        distances[row, column] = np.square(queries[row] - decoded).sum(axis=1)
        order = np.lexsort((keys, distances))[:, :k]
        return np.take_along_axis(keys, order, 1), np.take_along_axis(distances, order, 1)

    def latents(self, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the decoded latents (n, d) of items by key (n,)."""
        return self._decoded(self._codes[keys])

    def _scan(
        self, queries: NDArray[np.float32], k: int, lists: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the keys (n, k) with the largest sums in the lists (n, probes) of each query."""
        n, probes = lists.shape
        levels, _, dimension = self._books.shape
        wide = np.zeros((n, levels + NORM_BYTES, dimension), np.float32)
        wide[:, :levels] = queries[:, None]
        wide[:, levels:, 0] = 1
        sums, keys = np.empty((n, k), np.float32), np.empty((n, k), np.int64)
        coarse = np.zeros((n, probes), np.float32)
        self._index.search_preassigned_c(
            n, faiss.swig_ptr(wide), k, faiss.swig_ptr(lists), faiss.swig_ptr(coarse),
            faiss.swig_ptr(sums), faiss.swig_ptr(keys), False,
            faiss.SearchParametersIVF(nprobe=probes),  # type: ignore[call-arg]  # its stub lacks it
        )  # fmt: skip
        return keys

    def _nearest_lists(self, queries: NDArray[np.float32], probes: int) -> NDArray[np.int64]:
        """Return the lists (n, probes) whose prefixes decode nearest to queries (n, d)."""
        if probes >= self.used:
            every = np.flatnonzero(self._sizes)
            return (
                np.tile(every, (len(queries), 1))
                if len(every)
                else np.zeros((len(queries), 1), np.int64)
            )
        found = np.empty((len(queries), probes), np.int64)
        products = -2 * np.einsum("nd,lkd->nlk", queries, self._books[: self._depth])
        for row, tables in enumerate(products):
            distances = tables[0]
            for table in tables[1:]:
                distances = (distances[:, None] + table).ravel()
            distances = np.where(self._sizes > 0, distances + self._norms, np.inf)
            found[row] = _smallest(distances, probes)
        return found

    def _lists_of(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        number = np.zeros(len(codes), np.int64)
        for level in range(self._depth):
            number = number * self._books.shape[1] + codes[:, level]
        return number

    def _decoded(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = self._books[0][codes[:, 0]]
        for book, column in zip(self._books[1:], codes.T[1:], strict=True):
            rows += book[column]
        return rows

    def _norm_bytes(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return each row's ‖x̂‖² in steps, as bytes (n, 3), the highest first."""
        steps = np.empty(len(codes), np.float64)
        for first in range(0, len(codes), ROWS):
            rows = slice(first, first + ROWS)
            decoded = self._decoded(codes[rows])
            steps[rows] = np.einsum("nd,nd->n", decoded, decoded, dtype=np.float64)
        whole = np.minimum(np.rint(steps / self._step), 2**24 - 1).astype(np.uint32)
        return np.stack([whole >> 16 & 255, whole >> 8 & 255, whole & 255], 1).astype(np.uint8)

    def _subcodebooks(self) -> NDArray[np.float32]:
        levels, size, dimension = self._books.shape
        filled = np.zeros((levels + NORM_BYTES, 256, dimension), np.float32)
        filled[:levels, :size] = self._books
        for place in range(NORM_BYTES):
            unit = self._step * 256 ** (NORM_BYTES - 1 - place)
            filled[levels + place, :, 0] = -np.arange(256) * unit / 2
        return filled

    def _prefix_norms(self) -> NDArray[np.float32]:
        """Return the squared norm of what each prefix decodes to, (lists,)."""
        decoded = self._books[0]
        for book in self._books[1 : self._depth]:
            decoded = (decoded[:, None] + book).reshape(-1, book.shape[1])
        norms: NDArray[np.float32] = np.square(decoded).sum(axis=1)
        return norms

    def _make_room(self, rows: int) -> None:
        if rows > len(self._there):
            more = max(rows, len(self._there) * 5 // 4) - len(self._there)
            self._there = np.concatenate([self._there, np.zeros(more, np.bool_)])
            empty = np.zeros((more, self._codes.shape[1]), np.uint8)
            self._codes = np.concatenate([self._codes, empty])

    def _take_out(self, key: int, which: int) -> None:
        """Put a list's last item in the place of the one that goes."""
        lists, last = self._index.invlists, int(self._sizes[which]) - 1
        ids = faiss.rev_swig_ptr(lists.get_ids(which), last + 1)
        place = int(np.flatnonzero(ids == key)[0])
        if place != last:
            lists.update_entry(which, place, int(ids[last]), lists.get_single_code(which, last))
        lists.resize(which, last)
        self._sizes[which] = last


def _smallest(numbers: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the places of the `count` smallest numbers.

    A sample gives a bound that few more are below; sorting these alone takes a fifth of the time.
    """
    sample = numbers[::STRIDE]
    rank = min(count // STRIDE * 5 // 4 + STRIDE, len(sample) - 1)
    [places] = np.nonzero(numbers <= np.partition(sample, rank)[rank])
    if len(places) < count:
        return np.argpartition(numbers, count - 1)[:count]
    return np.asarray(places[np.argpartition(numbers[places], count - 1)[:count]])
