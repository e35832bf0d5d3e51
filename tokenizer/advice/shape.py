"""How many levels and codewords a catalogue of N items needs.

A prefix of two codes is a group of items only if there are fewer such prefixes than items. The rule
asks for eight items a prefix of two codes, and for 64 times as many IDs as items, so that few
items share one.
"""

import math
from dataclasses import dataclass

__all__ = ["Shape", "proposed_shape", "single_prefixes"]

SHARED = 8  # items a prefix of two codes
ROOM = 64  # IDs an item
SIZES = (4, 256)
LEVELS = (4, 8)


@dataclass(frozen=True)
class Shape:
    """L levels of K codewords."""

    levels: int
    codebook_size: int

    def __str__(self) -> str:
        return f"{self.levels} × {self.codebook_size}"


def proposed_shape(items: int) -> Shape:
    """Return the levels and codewords for a catalogue of so many items; K is a power of two."""
    size = 2 ** max(0, math.floor(math.log2(math.sqrt(max(1, items) / SHARED)) + 0.5))
    size = min(max(size, SIZES[0]), SIZES[1])
    needed = math.ceil(math.log(ROOM * max(1, items)) / math.log(size) - 1e-9)
    return Shape(min(max(needed, LEVELS[0]), LEVELS[1]), size)


def single_prefixes(items: int, codebook_size: int) -> float:
    """Return the share of used two-code prefixes with one item, if codes were drawn evenly.

    Real codes are uneven, so that the true share is lower.
    """
    cells = float(codebook_size) ** 2
    mean = items / cells
    used = -math.expm1(-mean)
    return mean * math.exp(-mean) / used if used else 0.0
