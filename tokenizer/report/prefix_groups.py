"""Groups of items that share all their codes or a prefix, largest first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes

__all__ = ["PrefixGroup", "prefix_groups", "shared", "spread"]

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class PrefixGroup:
    """The items under one prefix.

    Attributes:
        prefix: one to L codes.
        rows: (m,), the items' rows in the table of codes, ascending.
    """

    prefix: tuple[int, ...]
    rows: Rows


def shared(codes: Codes, min_size: int = 2) -> list[PrefixGroup]:
    """Return groups of at least `min_size` equal rows of codes (n, p), largest first."""
    distinct, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    rows = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(counts)
    return [
        PrefixGroup(tuple(distinct[at].tolist()), rows[ends[at] - counts[at] : ends[at]])
        for at in np.argsort(-counts, kind="stable").tolist()
        if counts[at] >= min_size
    ]


def prefix_groups(codes: Codes, count: int = 6, depth: int = 3) -> list[list[PrefixGroup]]:
    """Return chains of nested groups, as examples.

    The first codes are spaced evenly from the one with the most items to the median one. A chain
    leads from a first code to its largest group with a prefix of `depth` codes; of fewer codes if
    no such group has two items.

    Args:
        codes: (n, L).
        count: the most chains.
        depth: the most codes of a prefix.
    """
    firsts = shared(codes[:, :1])
    chosen = np.linspace(0, (len(firsts) - 1) // 2, count).astype(int).tolist() if firsts else []
    nested = []
    for place in sorted(set(chosen)):
        first = firsts[place]
        chain = [first]
        for length in range(min(depth, codes.shape[1]), 1, -1):
            if longest := shared(codes[first.rows, :length]):
                chain += [_under(longest[0].prefix[:end], codes) for end in range(2, length + 1)]
                break
        nested.append(chain)
    return nested


def spread(group: PrefixGroup, codes: Codes, count: int) -> Rows:
    """Return up to `count` rows of a group, spaced evenly in the order of the codes."""
    ordered = group.rows[np.lexsort(codes[group.rows].T[::-1])]
    rows: Rows = ordered[np.unique(np.linspace(0, len(ordered) - 1, count).round().astype(int))]
    return rows


def _under(prefix: tuple[int, ...], codes: Codes) -> PrefixGroup:
    return PrefixGroup(prefix, np.flatnonzero((codes[:, : len(prefix)] == prefix).all(axis=1)))
