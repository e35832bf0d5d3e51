"""How many of the exactly nearest items codes find."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenizer.ids.semantic_id import Codes
from tokenizer.index.exact_neighbours import candidates, overlap
from tokenizer.report.html import section, tiles

__all__ = [
    "NeighbourOverlap",
    "decoded_latents",
    "neighbour_overlap",
    "neighbours_section",
]

QUERIES, K = 200, 10
Values = NDArray[np.floating]


@dataclass(frozen=True)
class NeighbourOverlap:
    """The share of the 10 items of the highest cosine that are found.

    Attributes:
        codes: by the decoded latents alone.
        vectors: when vectors rank the items that the codes propose.
        queries: number of items that were asked.
    """

    codes: float
    vectors: float
    queries: int


def neighbour_overlap(latents: Values, directions: Values) -> NeighbourOverlap | None:
    """Measure the overlap on up to 200 items that have a vector; None for fewer than 12.

    Args:
        latents: (n, d), decoded.
        directions: (n, D), each of length 1, or NaN for an item without a vector.
    """
    known = np.flatnonzero(~np.isnan(directions).any(axis=1))
    if len(known) < K + 2:
        return None
    latents, directions = latents[known], directions[known]
    asked = np.random.default_rng(0).permutation(len(known))[:QUERIES]
    shares = np.zeros(2)
    for row in asked.tolist():
        near = directions @ directions[row]
        near[row] = -np.inf
        exact = np.argsort(-near, kind="stable")[:K].tolist()
        away = np.square(latents - latents[row]).sum(axis=1)
        away[row] = np.inf
        proposed = np.argsort(away, kind="stable")[: candidates(K)]
        ranked = proposed[np.argsort(-near[proposed], kind="stable")]
        shares += overlap(proposed[:K].tolist(), exact), overlap(ranked[:K].tolist(), exact)
    by_codes, by_vectors = (shares / len(asked)).tolist()
    return NeighbourOverlap(by_codes, by_vectors, len(asked))


def neighbours_section(measured: NeighbourOverlap | None) -> str:
    """Return the section on the overlap; it says what is needed where nothing was measured."""
    if measured is None:
        return section(
            "Nearest items",
            "The overlap with exact neighbours needs the items' vectors: --items whose texts are "
            "in the --cache, or --vectors.",
        )
    return section(
        "Nearest items",
        f"Of the {K} items with the highest cosine, the share that is found, over "
        f"{measured.queries:,} items.",
        tiles(
            {
                "by codes alone": f"{measured.codes:.1%}",
                f"by vectors, of {candidates(K):,} that codes propose": f"{measured.vectors:.1%}",
            }
        ),
    )


def decoded_latents(codebooks: Values, codes: Codes) -> Values:
    """Return the decoded latents (n, d) of codes (n, L)."""
    return np.asarray(codebooks[np.arange(len(codebooks)), codes.astype(np.int64)].sum(axis=1))
