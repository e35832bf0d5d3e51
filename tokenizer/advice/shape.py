"""How many levels and codewords a catalogue of N different items needs.

A prefix of two codes is a group of items only if there are fewer such prefixes than items. The rule
takes the largest codebooks that leave 1.4 items a possible prefix of two codes, and as many levels
as an ID of 32 bits has room for. Real codes are uneven: nine of ten new items still meet others.
It was found on validation items of real catalogues (`python -m tests.bench.shapes`).
"""

import math
from dataclasses import dataclass

__all__ = ["Shape", "proposed_shape", "single_prefixes"]

SHARED = 1.4  # least mean number of items a prefix of two codes that could be
BITS = 32  # of an ID
SIZES = (8, 256)
LEVELS = (4, 8)


@dataclass(frozen=True)
class Shape:
    """L levels of K codewords."""

    levels: int
    codebook_size: int

    def __str__(self) -> str:
        return f"{self.levels} × {self.codebook_size}"

    @property
    def bits(self) -> int:
        """Length of an ID in bits."""
        return self.levels * (self.codebook_size - 1).bit_length()


def proposed_shape(items: int) -> Shape:
    """Return the levels and codewords for so many different items; K is a power of two."""
    width = math.floor(math.log2(max(1, items) / SHARED) / 2 + 1e-9)
    size = min(max(2 ** max(0, width), SIZES[0]), SIZES[1])
    levels = BITS // (size - 1).bit_length()
    return Shape(min(max(levels, LEVELS[0]), LEVELS[1]), size)


def single_prefixes(items: int, codebook_size: int) -> float:
    """Return the share of used two-code prefixes with one item, if codes were drawn evenly.

    Real codes are uneven, so that the true share is lower.
    """
    cells = float(codebook_size) ** 2
    mean = items / cells
    used = -math.expm1(-mean)
    return mean * math.exp(-mean) / used if used else 0.0
