"""Semantic IDs ↔ model tokens.

    0         1    2 …          2 + B …      2 + B + K …        2 + B + L·K …
    padding   end  B users      K codes of   K codes of         suffixes
                                level 1      level 2 … level L

Every position of an ID has its own range of tokens. The suffixes come last, so that further
suffixes lengthen the embedding table and no other token moves.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError

__all__ = ["END", "PADDING", "Tokens", "Vocabulary"]

PADDING = 0
END = 1
_SPECIAL = 2
_MAX_TOKENS = 2**31 - 1

Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a generative recommender reads and writes.

    An item has `length` tokens: its L codes and its suffix, which is 0 for the first item with
    these codes. With `suffixes=0` (the policy reassign) an item has its L codes alone.

    Attributes:
        levels: L.
        codebook_size: K.
        suffixes: how many suffixes have tokens, from 0; 0 leaves the suffix token out.
        user_buckets: B, how many tokens user IDs are hashed to; 0 for none.

    Raises:
        InputError: a count is too small, or there are more tokens than an int32 can count.
    """

    levels: int
    codebook_size: int
    suffixes: int = 0
    user_buckets: int = 2000

    def __post_init__(self) -> None:
        for name, least in (
            ("levels", 1),
            ("codebook_size", 1),
            ("suffixes", 0),
            ("user_buckets", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if self.size > _MAX_TOKENS:
            raise InputError(f"a vocabulary of {self.size} tokens; at most {_MAX_TOKENS} fit")

    @classmethod
    def for_suffixes(
        cls,
        levels: int,
        codebook_size: int,
        suffixes: NDArray[Any],
        *,
        headroom: int = 16,
        user_buckets: int = 2000,
    ) -> "Vocabulary":
        """Make the vocabulary of a catalogue with the policy suffix.

        Args:
            suffixes: (n,) unsigned, of the catalogue's items.
            headroom: further suffixes, for items that come later. Training does not teach a model
                such a suffix; it ranks these items by their codes.
        """
        largest = int(suffixes.max(initial=0))
        return cls(levels, codebook_size, largest + 1 + headroom, user_buckets)

    @property
    def length(self) -> int:
        """Tokens of an item: L + 1 with a suffix token, else L."""
        return self.levels + (self.suffixes > 0)

    @property
    def size(self) -> int:
        """All tokens: the width of a model's output."""
        return self.first(self.levels) + self.suffixes

    def first(self, position: int) -> int:
        """Return the first token of a position, 0 ≤ position < length."""
        return _SPECIAL + self.user_buckets + position * self.codebook_size

    def width(self, position: int) -> int:
        """Return how many tokens a position has: K, or the suffixes."""
        return self.codebook_size if position < self.levels else self.suffixes

    def encode(self, codes: NDArray[Any], suffixes: NDArray[Any] | None = None) -> Tokens:
        """Write IDs as tokens.

        Args:
            codes: (n, L) integers in 0 … K - 1.
            suffixes: (n,) integers; all 0 where None.

        Returns:
            (n, length) int64.

        Raises:
            InputError: a wrong shape or type; a code or a suffix without a token.
        """
        if codes.ndim != 2 or codes.shape[1] != self.levels:
            raise InputError(f"codes of shape {codes.shape}; (n, {self.levels}) is needed")
        if suffixes is None:
            suffixes = np.zeros(len(codes), dtype=np.uint32)
        if suffixes.shape != (len(codes),):
            raise InputError(
                f"suffixes of shape {suffixes.shape} beside {len(codes)} rows of codes"
            )
        for name, given in (("codes", codes), ("suffixes", suffixes)):
            if given.dtype.kind not in "iu":
                raise InputError(f"{name} of type {given.dtype}; integers are needed")
        self._check_range(codes, suffixes)
        tokens = np.empty((len(codes), self.length), dtype=np.int64)
        tokens[:, : self.levels] = codes
        if self.suffixes:
            tokens[:, self.levels] = suffixes
        return tokens + self._firsts()

    def _check_range(self, codes: NDArray[Any], suffixes: NDArray[Any]) -> None:
        """Check that each code and each suffix has a token.

        Raises:
            InputError: one has none.
        """
        wrong = (codes < 0) | (codes >= self.codebook_size)
        if wrong.any():
            row, level = np.argwhere(wrong)[0]
            raise InputError(
                f"row {row}: code {codes[row, level]} of level {level + 1} is beyond "
                f"0…{self.codebook_size - 1}"
            )
        wrong = (suffixes < 0) | (suffixes >= max(self.suffixes, 1))
        if wrong.any():
            row = int(wrong.argmax())
            room = (
                f"has the suffixes 0…{self.suffixes - 1}; make a new one with more headroom"
                if self.suffixes
                else "has none (policy reassign)"
            )
            raise InputError(f"row {row}: suffix {suffixes[row]}, but this vocabulary {room}")

    def decode(self, tokens: NDArray[Any]) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
        """Read IDs from tokens (n, length): codes (n, L) uint16 and suffixes (n,) uint32.

        Raises:
            InputError: a wrong shape, or a token outside its position's range.
        """
        codes = self.local(tokens)
        suffixes = codes[:, self.levels] if self.suffixes else np.zeros(len(codes))
        return codes[:, : self.levels].astype(np.uint16), suffixes.astype(np.uint32)

    def local(self, tokens: NDArray[Any]) -> NDArray[np.int32]:
        """Return each token's number within its position, from 0: (n, length) int32.

        Raises:
            InputError: a wrong shape, or a token outside its position's range.
        """
        if tokens.ndim != 2 or tokens.shape[1] != self.length or tokens.dtype.kind not in "iu":
            raise InputError(
                f"tokens of shape {tokens.shape} and type {tokens.dtype}; integers "
                f"(n, {self.length}) are needed"
            )
        codes = tokens - self._firsts()
        wrong = (codes < 0) | (codes >= [self.width(n) for n in range(self.length)])
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            first = self.first(position)
            raise InputError(
                f"row {row}: token {tokens[row, position]} at position {position} is beyond "
                f"{first}…{first + self.width(position) - 1}"
            )
        return codes.astype(np.int32)

    def user_tokens(self, user_ids: Sequence[str]) -> Tokens:
        """Hash user IDs to tokens (n,) int64; the hash is the same on every machine.

        Raises:
            InputError: the vocabulary has no user tokens.
        """
        if not self.user_buckets:
            raise InputError("this vocabulary has no user tokens (user_buckets is 0)")
        hashes = b"".join(
            hashlib.blake2b(user_id.encode(), digest_size=8).digest() for user_id in user_ids
        )
        buckets = np.frombuffer(hashes, dtype="<u8") % np.uint64(self.user_buckets)
        return buckets.astype(np.int64) + _SPECIAL

    def _firsts(self) -> Tokens:
        return np.asarray([self.first(n) for n in range(self.length)], dtype=np.int64)
