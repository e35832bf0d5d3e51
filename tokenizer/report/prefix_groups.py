"""Items that share their codes or a prefix of them, largest groups first."""

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
        prefix: of one to L codes.
        rows: (m,) of the table of codes, ascending.
    """

    prefix: tuple[int, ...]
    rows: Rows


def shared(codes: Codes, least: int = 2) -> list[PrefixGroup]:
    """Return the groups of `least` or more equal rows of codes (n, p), ties in the codes' order."""
    distinct, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    rows = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(counts)
    return [
        PrefixGroup(tuple(distinct[at].tolist()), rows[ends[at] - counts[at] : ends[at]])
        for at in np.argsort(-counts, kind="stable").tolist()
        if counts[at] >= least
    ]


def prefix_groups(codes: Codes, most: int = 6, depth: int = 3) -> list[list[PrefixGroup]]:
    """Return examples of groups within groups.

    The first codes run evenly from that with the most items to the median one. Each leads to the
    largest group under a prefix of `depth` codes, or of fewer where none holds two items.

    Args:
        codes: (n, L).
        most: first codes.
        depth: codes of the longest prefix.
    """
    firsts = shared(codes[:, :1])
    chosen = np.linspace(0, (len(firsts) - 1) // 2, most).astype(int).tolist() if firsts else []
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


def spread(group: PrefixGroup, codes: Codes, most: int) -> Rows:
    """Return up to `most` rows of a group, evenly over its items in the codes' order."""
    ordered = group.rows[np.lexsort(codes[group.rows].T[::-1])]
    rows: Rows = ordered[np.unique(np.linspace(0, len(ordered) - 1, most).round().astype(int))]
    return rows


def _under(prefix: tuple[int, ...], codes: Codes) -> PrefixGroup:
    return PrefixGroup(prefix, np.flatnonzero((codes[:, : len(prefix)] == prefix).all(axis=1)))
