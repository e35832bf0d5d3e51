"""The policies for items with the same codes; the tokenizer fixes one of them."""

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.semantic_id import Codes, codes_key, codes_of_key, format_semantic_id

__all__ = ["Policy", "TakenCodes", "assign_free"]

# suffix: a further token numbers the items in order of arrival (`semantic_id.assign_suffixes`).
# reassign: the later item gets other, free codes (`assign_free`).
Policy = Literal["suffix", "reassign"]


class TakenCodes:
    """The codes that are taken, and the prefixes that are full: no code below them is free.

    Both are keys as `codes_key` packs them: of all L codes, or of the first few.
    """

    def __init__(
        self,
        keys: Iterable[bytes] = (),
        full_below: Callable[[tuple[int, ...], int], Iterable[bytes]] | None = None,
    ) -> None:
        """Start from the codes that are known to be taken.

        Args:
            keys: of L codes each.
            full_below: for callers whose `keys` are incomplete. It is called once for each searched
                prefix; it takes the prefix and n, the number of IDs below each prefix that is one
                code longer, and returns the keys of those longer prefixes that have n items.
        """
        self._keys = set(keys)
        self._full_below = full_below
        self._asked: set[tuple[int, ...]] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Mark a key as taken."""
        self._keys.add(key)

    def look_below(self, prefix: tuple[int, ...], room: int) -> None:
        """Look up which prefixes one code longer are full: those with `room` items."""
        if self._full_below is not None and prefix not in self._asked:
            self._asked.add(prefix)
            self._keys.update(self._full_below(prefix, room))


def assign_free(
    codes: Codes,
    latents: NDArray[np.float32],
    codebooks: NDArray[np.float32],
    taken: TakenCodes,
) -> Codes:
    """Give each row of codes (n, L) unique codes, in order of arrival; free codes are kept.

    If a row's codes are taken, the last level changes to the free code whose codeword is nearest to
    the item's last residual. If the last level is full under the item's prefix, the level before it
    changes to the nearest code with a free code below it, and the last level again takes the
    nearest free code; and so on towards the first level. Distances are squared and in float64; of
    equal distances the smaller code wins.

    Args:
        codes: (n, L) uint16, the wanted codes.
        latents: (n, d) float32, the latents that the codes stand for.
        codebooks: (L, K, d) float32.
        taken: the codes taken so far; updated in place, so that a catalogue can come in parts.

    Returns:
        (n, L) uint16; no row occurs twice, and none was taken.

    Raises:
        InputError: all Kᴸ codes are taken.
    """
    given = codes.copy()
    for row, key in enumerate(codes_key(codes)):
        if key in taken:
            found = _nearest_free(tuple(codes[row].tolist()), latents[row], codebooks, taken)
            given[row] = codes_of_key([found], codes.shape[1])[0]
            taken.add(found)
        else:
            taken.add(key)
    return given


def _nearest_free(
    codes: tuple[int, ...],
    latent: NDArray[np.float32],
    codebooks: NDArray[np.float32],
    taken: TakenCodes,
) -> bytes:
    """Return the key of the nearest free codes that keep the longest prefix of `codes`."""
    for kept in reversed(range(len(codes))):
        residual = latent.astype(np.float64)
        for level in range(kept):
            residual = residual - codebooks[level, codes[level]]
        found = _first_below(codes[:kept], residual, codebooks, taken)
        if found is not None:
            return found
    levels, size, _ = codebooks.shape
    raise InputError(
        f"codes {format_semantic_id(codes)} are taken, and so are all others of this tokenizer "
        f"({size}^{levels}); fit one with more --levels, a larger --codebook-size, or "
        f"--policy suffix"
    )


def _first_below(
    prefix: tuple[int, ...],
    residual: NDArray[np.float64],
    codebooks: NDArray[np.float32],
    taken: TakenCodes,
) -> bytes | None:
    """Return the key of the nearest free codes that start with `prefix`; None if it is full.

    Args:
        residual: (d,), what remains of the latent after the prefix's codewords.
    """
    levels, size, _ = codebooks.shape
    key = b"".join(code.to_bytes(2, "big") for code in prefix)
    if key in taken:
        return None
    taken.look_below(prefix, size ** (levels - len(prefix) - 1))
    codebook = codebooks[len(prefix)]
    distances = np.square(codebook - residual).sum(axis=1)
    nearest: list[int] = np.argsort(distances, kind="stable").tolist()
    for code in nearest:
        longer = key + code.to_bytes(2, "big")
        if longer in taken:
            continue
        if len(prefix) + 1 == levels:
            return longer
        found = _first_below((*prefix, code), residual - codebook[code], codebooks, taken)
        if found is not None:
            return found
    taken.add(key)
    return None
