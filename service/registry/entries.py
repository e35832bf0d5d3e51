"""The registry's inputs and outputs: items, codes packed into keys, prefix counts, changes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.engine import Row

from tokenizer.ids.semantic_id import Codes, format_semantic_id

__all__ = [
    "Changes",
    "KeptVector",
    "NewItem",
    "PrefixCount",
    "RegisteredItem",
    "codes_of",
    "key_of",
]


@dataclass(frozen=True)
class NewItem:
    """An item with its codes; the registry chooses the suffix if `suffix` is None.

    Attributes:
        vector: kept beside the ID; None keeps none.
    """

    item_id: str
    codes: tuple[int, ...]
    distortion: float
    title: str | None = None
    suffix: int | None = None
    vector: "KeptVector | None" = None


class KeptVector(NamedTuple):
    """A vector as the database keeps it.

    Attributes:
        direction: the vector scaled to length 1, in float16, little-endian.
        length: of the vector before.
    """

    direction: bytes
    length: float


@dataclass(frozen=True)
class RegisteredItem:
    """An item as the registry holds it; a later item has a larger `number`."""

    number: int
    item_id: str
    codes: tuple[int, ...]
    suffix: int
    distortion: float
    title: str | None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Make an item from a row of the table `ids`."""
        return cls(
            row.number, row.item_id, codes_of(row.codes), row.suffix, row.distortion, row.title
        )

    @property
    def semantic_id(self) -> str:
        """The ID as text."""
        return format_semantic_id(self.codes, self.suffix)


@dataclass(frozen=True)
class PrefixCount:
    """How many items have codes that start with `codes`, and the title of one of them."""

    codes: tuple[int, ...]
    items: int
    title: str | None


@dataclass(frozen=True)
class Changes:
    """Items that were added, removed or changed, in the order of their last change.

    Attributes:
        numbers: (n,) numbers of the items.
        codes: (n, L) codes of the items.
        removed: (n,) whether the item is removed now.
        newest: number of the last of these changes.
    """

    numbers: NDArray[np.int64]
    codes: Codes
    removed: NDArray[np.bool_]
    newest: int


def key_of(codes: Sequence[int]) -> bytes:
    """Pack codes into bytes that sort as the codes do, as `tokenizer.ids.semantic_id.codes_key`."""
    return struct.pack(f">{len(codes)}H", *codes)


def codes_of(key: bytes) -> tuple[int, ...]:
    """Unpack what `key_of` packed."""
    return struct.unpack(f">{len(key) // 2}H", key)
