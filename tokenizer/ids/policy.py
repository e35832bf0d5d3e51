"""What tells items apart whose codes are the same: a choice that the tokenizer carries."""

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from tokenizer.ids.semantic_id import Codes, codes_key, codes_of_key, format_semantic_id

__all__ = ["Policy", "TakenCodes", "assign_free"]

# suffix: one more token counts the items in order of arrival (`semantic_id.assign_suffixes`).
# reassign: the later item gets other codes that are free (`assign_free`).
Policy = Literal["suffix", "reassign"]


class TakenCodes:
    """The codes that are given out, and the prefixes under which none is free.

    Both are keys as `codes_key` packs them: of L codes, or of the first few.
    """

    def __init__(
        self,
        keys: Iterable[bytes] = (),
        full_below: Callable[[tuple[int, ...], int], Iterable[bytes]] | None = None,
    ) -> None:
        """Start from the codes that are known to be given out.

        Args:
            keys: of L codes each.
            full_below: asked once for each prefix that is searched, where `keys` are not all:
                given a prefix and n, the keys one code longer that n items share, all that fit.
        """
        self._keys = set(keys)
        self._full_below = full_below
        self._asked: set[tuple[int, ...]] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Count a key as taken."""
        self._keys.add(key)

    def look_below(self, prefix: tuple[int, ...], room: int) -> None:
        """Learn which prefixes one code longer are full, each with room for `room` items."""
        if self._full_below is not None and prefix not in self._asked:
            self._asked.add(prefix)
            self._keys.update(self._full_below(prefix, room))


def assign_free(
    codes: Codes,
    latents: NDArray[np.float32],
    codebooks: NDArray[np.float32],
    taken: TakenCodes,
) -> Codes:
    """Give each row of codes (n, L) codes of its own, in order of arrival: its own where free.

    Where they are taken, the last level changes to the free code whose codeword is nearest to the
    item's last residual. Where the last level is full under the item's prefix, the level before it
    changes to the next-nearest code with a free one below, and the last level is again the nearest
    that is free; and so on towards the first level. Distances are squared and in float64; of equal
    ones the smaller code is the nearer.

    Args:
        latents: (n, d), which the codes are of.
        codebooks: (L, K, d).
        taken: what is given out before; updated in place, so that a catalogue can come in parts.

    Returns:
        (n, L) uint16, no row twice and none that was taken.

    Raises:
        InputError: all Kᴸ codes are given out.
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
    """Return the key of the free codes that keep the most of `codes`, then the nearest."""
    for kept in reversed(range(len(codes))):
        residual = latent.astype(np.float64)
        for level in range(kept):
            residual = residual - codebooks[level, codes[level]]
        found = _first_below(codes[:kept], residual, codebooks, taken)
        if found is not None:
            return found
    levels, size, _ = codebooks.shape
    raise InputError(
        f"codes {format_semantic_id(codes)} are taken, and so are all others of the {size}^{levels}"
        f" that this tokenizer has; fit one with more --levels, a larger --codebook-size, or "
        f"--policy suffix"
    )


def _first_below(
    prefix: tuple[int, ...],
    residual: NDArray[np.float64],
    codebooks: NDArray[np.float32],
    taken: TakenCodes,
) -> bytes | None:
    """Return the key of the first free codes that start with `prefix`, nearest first by level."""
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
