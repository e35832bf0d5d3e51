"""The numbers by which a model knows a catalogue's items, and which items it may recommend."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import InputError
from recsys.models.base import Codes

__all__ = ["ItemNumbers"]


class ItemNumbers:
    """Item ids ↔ numbers from 0, the items' codes, and the items that are hidden.

    Attributes:
        item_ids: by number.
        hidden: the numbers of the items that are never recommended; histories may contain them.
    """

    def __init__(self, item_ids: Sequence[str], codes: Codes | None) -> None:
        self.item_ids, self._codes = list(item_ids), codes
        self._numbers = {item_id: number for number, item_id in enumerate(self.item_ids)}
        self.hidden: set[int] = set()

    def __len__(self) -> int:
        return len(self.item_ids)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._numbers

    def add(self, item_ids: Sequence[str], codes: Codes) -> None:
        """Add items; they get the next numbers."""
        if self._codes is not None:
            self._codes = np.concatenate([self._codes, codes])
        for item_id in item_ids:
            self._numbers[item_id] = len(self.item_ids)
            self.item_ids.append(item_id)

    def hide(self, item_id: str, *, hidden: bool) -> None:
        """Hide a known item, or show it again."""
        number = self._numbers.get(item_id)
        if number is not None:
            (self.hidden.add if hidden else self.hidden.discard)(number)

    def known(self, item_ids: Sequence[str]) -> list[int]:
        """Return the numbers of the known items, in their order."""
        return [self._numbers[item_id] for item_id in item_ids if item_id in self._numbers]

    def unknown(self, item_ids: Sequence[str]) -> list[str]:
        """Return the distinct items that cannot be recommended: unknown or hidden ones."""
        return [
            item_id
            for item_id in dict.fromkeys(item_ids)
            if item_id not in self._numbers or self._numbers[item_id] in self.hidden
        ]

    def among(
        self, candidates: Sequence[str] | None, prefix: Sequence[int]
    ) -> NDArray[np.int64] | None:
        """Return the numbers (n,) of the items that may be recommended, or None for all.

        Args:
            candidates: the items that may be; None for all.
            prefix: the first codes of the items that may be.

        Raises:
            InputError: none is left; or a prefix is too long, or the items have no codes.
        """
        if candidates is None and not prefix:
            return None
        numbers = np.arange(len(self)) if candidates is None else np.unique(self.known(candidates))
        numbers = numbers.astype(np.int64)
        if prefix:
            numbers = numbers[self._beginning_with(prefix, numbers)]
        numbers = numbers[~np.isin(numbers, list(self.hidden))]
        if not len(numbers):
            raise InputError(
                "no item is left to recommend: the recommender has none of the candidates, or none "
                "with the prefix; give others"
            )
        return numbers

    def _beginning_with(
        self, prefix: Sequence[int], numbers: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        if self._codes is None:
            raise InputError("the recommender reads no codes; give candidates in place of a prefix")
        if len(prefix) > self._codes.shape[1]:
            raise InputError(
                f"a prefix of {len(prefix)} codes, and IDs of {self._codes.shape[1]}; give fewer"
            )
        begins = self._codes[numbers, : len(prefix)] == np.asarray(prefix)
        return np.asarray(begins.all(1))
