"""The prefixes below a prefix, each with its words, its central item and its coherence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes
from tokenizer.prefixes.coherence import central, coherence
from tokenizer.prefixes.words import shares, top_words, words_of

__all__ = ["DepthSizes", "NamedPrefix", "PrefixNamer", "sizes_by_depth"]


@dataclass(frozen=True)
class NamedPrefix:
    """A prefix and what its items have in common.

    Attributes:
        codes: one to L codes.
        items: number of items whose codes start with them.
        words: of their titles, more common there than elsewhere, best first.
        central: row of the item nearest to the mean of all.
        coherence: mean cosine of pairs of them; None without vectors, or for one item.
    """

    codes: tuple[int, ...]
    items: int
    words: tuple[str, ...]
    central: int
    coherence: float | None


@dataclass(frozen=True)
class DepthSizes:
    """The prefixes of one length.

    Attributes:
        length: number of codes.
        prefixes: number of prefixes that have items.
        median, largest: number of items of a prefix.
        single: share of the prefixes that have one item.
    """

    length: int
    prefixes: int
    median: float
    largest: int
    single: float


class PrefixNamer:
    """Names the prefixes of a catalogue's items.

    Attributes:
        codes: (n, L), of the items.
        chance: mean cosine of pairs of any items; None without vectors.
    """

    def __init__(
        self,
        codes: Codes,
        titles: Sequence[str | None],
        latents: NDArray[np.floating],
        directions: NDArray[np.floating] | None = None,
    ) -> None:
        """Take the items.

        Args:
            codes: (n, L), n ≥ 1.
            titles: (n,).
            latents: (n, d), decoded from the codes; they choose the central item without vectors.
            directions: (n, D), the items' vectors, each of length 1, or a row of NaN for an item
                without one; None without vectors.
        """
        self.codes, self._latents = codes, latents
        self._words = [words_of(title) for title in titles]
        self._background = shares(self._words)
        self._directions = directions
        self.chance = None if directions is None else coherence(_known(directions))

    def below(self, prefix: tuple[int, ...] = ()) -> list[NamedPrefix]:
        """Return the prefixes that extend a prefix by one code, most items first."""
        depth = len(prefix)
        rows = self.rows(prefix)
        if not len(rows) or depth == self.codes.shape[1]:
            return []
        values, groups = _grouped(self.codes[rows, depth], rows)
        sizes = [len(group) for group in groups]
        words = top_words(
            [[self._words[row] for row in g] for g in groups], sizes, self._background
        )
        found = [
            NamedPrefix((*prefix, value), size, named, *self._middle(group))
            for value, size, named, group in zip(values, sizes, words, groups, strict=True)
        ]
        return sorted(found, key=lambda each: (-each.items, each.codes))

    def rows(self, prefix: tuple[int, ...]) -> NDArray[np.intp]:
        """Return the rows of the items whose codes start with a prefix."""
        return np.flatnonzero((self.codes[:, : len(prefix)] == prefix).all(axis=1))

    def _middle(self, rows: NDArray[np.intp]) -> tuple[int, float | None]:
        """Return the central row of a group, and its coherence."""
        if self._directions is not None:
            own = self._directions[rows]
            known = ~np.isnan(own).any(axis=1)
            if known.any():
                return int(rows[known][central(own[known])]), coherence(own[known])
        return int(rows[central(self._latents[rows])]), None


def sizes_by_depth(codes: Codes) -> list[DepthSizes]:
    """Return the sizes of the prefixes of each length, for codes (n, L), n ≥ 1."""
    found = []
    for length in range(1, codes.shape[1] + 1):
        counts = np.unique(codes[:, :length], axis=0, return_counts=True)[1]
        found.append(
            DepthSizes(
                length, len(counts), float(np.median(counts)), int(counts.max()),
                float((counts == 1).mean()),
            )
        )  # fmt: skip
    return found


def _grouped(
    values: NDArray[np.uint16], rows: NDArray[np.intp]
) -> tuple[list[int], list[NDArray[np.intp]]]:
    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    return distinct.tolist(), np.split(rows[order], starts[1:])


def _known(directions: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(directions[~np.isnan(directions).any(axis=1)])
