"""Groups of items that share all their codes, largest first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes

__all__ = ["PrefixGroup", "shared"]

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
