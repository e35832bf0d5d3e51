"""Semantic IDs as text and as keys, and the suffixes that tell items with equal codes apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

__all__ = [
    "Codes",
    "assign_suffixes",
    "codes_key",
    "codes_of_key",
    "format_semantic_id",
    "parse_prefix",
]

Codes = NDArray[np.uint16]


def format_semantic_id(codes: Sequence[int], suffix: int = 0) -> str:
    """Write an ID: `"12-240-3-77"`, and `"12-240-3-77-1"` for the second item with these codes."""
    parts = [*codes, suffix] if suffix else codes
    return "-".join(str(int(part)) for part in parts)


def parse_prefix(text: str, levels: int, codebook_size: int) -> tuple[int, ...]:
    """Read the first codes of an ID: `"12-240"` → `(12, 240)`.

    Raises:
        InputError: `text` is not numbers joined by `-`, has more than `levels` of them, or has one
            beyond the codebook.
    """
    parts = text.split("-")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"prefix {text!r} is not codes joined by '-', such as 12-240")
    if len(parts) > levels:
        raise InputError(
            f"prefix {text!r} has {len(parts)} codes; this tokenizer has {levels} levels"
        )
    for level, part in enumerate(parts, start=1):
        if len(part) > 5 or int(part) >= codebook_size:
            raise InputError(
                f"prefix {text!r}: code {part} of level {level} is beyond 0…{codebook_size - 1}"
            )
    return tuple(int(part) for part in parts)


def codes_key(codes: Codes) -> list[bytes]:
    """Pack each row of codes (n, L) into 2 L bytes; keys sort as the codes do."""
    packed = np.ascontiguousarray(codes, dtype=">u2")
    return [row.tobytes() for row in packed]


def codes_of_key(keys: Sequence[bytes], levels: int) -> Codes:
    """Unpack keys of `codes_key` to codes (n, levels)."""
    return np.frombuffer(b"".join(keys), dtype=">u2").reshape(-1, levels).astype(np.uint16)


def assign_suffixes(codes: Codes, next_suffix: dict[bytes, int]) -> NDArray[np.uint32]:
    """Give each row of codes (n, L) the next suffix of its codes, in order of arrival.

    Args:
        next_suffix: by `codes_key`, the suffix of the next item; 0 where a key is missing. Updated
            in place, so that a catalogue can come in parts.

    Returns:
        (n,) uint32; 0 for the first item with its codes.
    """
    suffixes = np.empty(len(codes), dtype=np.uint32)
    for row, key in enumerate(codes_key(codes)):
        suffix = next_suffix.get(key, 0)
        suffixes[row] = suffix
        next_suffix[key] = suffix + 1
    return suffixes
