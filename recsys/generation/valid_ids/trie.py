"""A trie of the valid IDs: finds the tokens that may follow, for a whole batch of beams at once.

A trie is immutable. `with_items` returns a new trie that shares the large arrays and keeps the late
items in a second, small part. The node of a beam has one number for each part.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.errors import InputError
from recsys.generation.valid_ids.trie_arrays import NOWHERE, SameRowsError, TrieArrays
from recsys.generation.valid_ids.vocabulary import PADDING, Vocabulary

__all__ = ["Exclusions", "Trie"]

# With more late items than this number and this share of the others, both parts are merged.
_LATE_ITEMS = 4096
_LATE_SHARE = 1 / 64
_MOST_ITEMS = 2**31 - 2


@dataclass(frozen=True)
class Exclusions:
    """The nodes that have no item left for a user, by part and depth; made by `Trie.exclude`.

    A user's node is one key: user · (nodes of that depth) + node. The keys are sorted.
    """

    closed: list[list[Tensor]]


class Trie:
    """The IDs of a catalogue; items are numbered from 0 in the order in which they were added.

    Nodes are int64 (users, beams, parts), -1 where a part does not have the prefix. Item numbers
    may be on another device.

    Attributes:
        vocabulary: of the tokens.
        parts: one part, and a second one for late items if there are any.
    """

    def __init__(self, vocabulary: Vocabulary, tokens: NDArray[Any]) -> None:
        """Sort the IDs.

        Args:
            tokens: (n, length) integers from `Vocabulary.encode`, one row an item.

        Raises:
            InputError: no items, or more than an int32 can count; a token is outside its position's
                range; an ID occurs twice.
        """
        rows = vocabulary.local(tokens)
        if not 0 < len(rows) <= _MOST_ITEMS:
            raise InputError(f"a trie of {len(rows)} items; 1 to {_MOST_ITEMS} are needed")
        self.vocabulary = vocabulary
        self.parts: tuple[TrieArrays, ...] = (_checked_part(vocabulary, rows, 0),)

    def __len__(self) -> int:
        return sum(len(part.items) for part in self.parts)

    @property
    def device(self) -> torch.device:
        """The device of the arrays."""
        return self.parts[0].items.device

    @property
    def bytes_per_item(self) -> float:
        """Memory of the arrays, in bytes an item."""
        return sum(x.nbytes for part in self.parts for x in part.tensors()) / len(self)

    def to(self, device: torch.device | str) -> "Trie":
        """Return a copy whose arrays are on another device."""
        return self._like(tuple(part.to(device) for part in self.parts))

    def breadth(self, position: int) -> int:
        """Return an upper bound of the prefixes that end at a position; exact with one part."""
        return sum(len(part.codes[position]) for part in self.parts)

    def with_items(self, tokens: NDArray[Any]) -> "Trie":
        """Return a trie of these items and further ones; this trie does not change.

        The new items get the next numbers. Only the late items are sorted; past 4,096 of them, or a
        64th of the catalogue if that is more, all items are sorted into one part again.

        Raises:
            InputError: a token is outside its position's range; an ID occurs twice or is in the
                trie already. The message counts rows as item numbers.
        """
        rows = self.vocabulary.local(tokens)
        if not len(rows):
            return self
        first = len(self)
        if first + len(rows) > _MOST_ITEMS:
            raise InputError(f"a trie of {first + len(rows)} items; at most {_MOST_ITEMS} fit")
        present = self.find(torch.from_numpy(tokens.astype(np.int64)).to(self.device))
        if (present >= 0).any():
            row = int((present >= 0).int().argmax())
            raise _given_twice(self.vocabulary, rows[row], int(present[row]), first + row)
        base = self.parts[0]
        if len(self.parts) > 1:
            late = self.parts[1]
            rows = np.concatenate([_all_rows(late), rows])
            first = len(base.items)
        if len(rows) > max(_LATE_ITEMS, _LATE_SHARE * len(base.items)):
            rows, first = np.concatenate([_all_rows(base), rows]), 0
        part = _checked_part(self.vocabulary, rows, first).to(self.device)
        return self._like((base, part) if first else (part,))

    def root(self, users: int) -> Tensor:
        """Return the root as the first node of every user: (users, 1, parts)."""
        return torch.zeros(users, 1, len(self.parts), dtype=torch.long, device=self.device)

    def allowed(self, position: int, nodes: Tensor, exclusions: Exclusions | None = None) -> Tensor:
        """Return which tokens may follow: bool (users, beams, width of the position).

        Column c is the token `vocabulary.first(position) + c`. Nothing may follow the node -1.

        Args:
            position: of the next token, which is the depth of the nodes.
            nodes: (users, beams, parts).
            exclusions: from `exclude`, for these users.
        """
        width = self.vocabulary.width(position)
        mask = torch.zeros(*nodes.shape[:2], width, dtype=torch.bool, device=nodes.device)
        for number, part in enumerate(self.parts):
            closed = exclusions.closed[number][position] if exclusions else None
            part.allow(position, nodes[..., number], mask, closed)
        return mask

    def advance(self, position: int, nodes: Tensor, tokens: Tensor) -> Tensor:
        """Follow one token from each node: (users, beams, parts), -1 where no ID has that prefix.

        Args:
            position: of the tokens.
            nodes: (users, beams, parts).
            tokens: (users, beams) int64.
        """
        codes = tokens - self.vocabulary.first(position)
        return torch.stack(
            [part.child(position, nodes[..., n], codes) for n, part in enumerate(self.parts)], -1
        )

    def items(self, leaves: Tensor) -> Tensor:
        """Return the item numbers of leaves (users, beams, parts): (users, beams) int64, or -1."""
        found = torch.full(leaves.shape[:-1], NOWHERE, dtype=torch.long, device=leaves.device)
        first = 0
        for number, part in enumerate(self.parts):
            own = leaves[..., number]
            found = torch.where(own < 0, found, part.items[own.clamp(min=0)].long() + first)
            first += len(part.items)
        return found

    def find(self, tokens: Tensor) -> Tensor:
        """Return the items with these IDs (n, length): (n,) int64, -1 for an unknown ID."""
        nodes = self.root(len(tokens))
        for position in range(self.vocabulary.length):
            nodes = self.advance(position, nodes, tokens[:, position : position + 1].long())
        return self.items(nodes)[:, 0]

    def tokens(self, items: Tensor) -> Tensor:
        """Return the tokens of items: (..., length) int64, padding where the item is -1.

        Raises:
            InputError: an item number beyond the catalogue.
        """
        items = self._checked(items)
        flat = items.flatten()
        found = torch.full((len(flat), self.vocabulary.length), PADDING, device=flat.device)
        first = 0
        for part in self.parts:
            own = (flat >= first) & (flat < first + len(part.items))
            found[own] = part.rows(flat[own] - first).long() + self._firsts()
            first += len(part.items)
        return found.view(*items.shape, self.vocabulary.length)

    def exclude(self, items: Tensor) -> Exclusions:
        """Prepare to leave items out for each user, such as those of the history.

        Args:
            items: (users, n) int64, padded with -1; an item may occur twice.

        Raises:
            InputError: an item number beyond the catalogue.
        """
        items = self._checked(items)
        users = torch.arange(len(items), device=items.device)[:, None].expand_as(items)
        closed, first = [], 0
        for part in self.parts:
            own = (items >= first) & (items < first + len(part.items))
            closed.append(part.close(users[own], items[own] - first))
            first += len(part.items)
        return Exclusions(closed)

    def _checked(self, items: Tensor) -> Tensor:
        wrong = (items < NOWHERE) | (items >= len(self))
        if wrong.any():
            raise InputError(
                f"item number {int(items[wrong][0])} is beyond 0…{len(self) - 1}; -1 is no item"
            )
        return items.to(self.device)

    def _firsts(self) -> Tensor:
        positions = range(self.vocabulary.length)
        return torch.tensor([self.vocabulary.first(n) for n in positions], device=self.device)

    def _like(self, parts: tuple[TrieArrays, ...]) -> "Trie":
        trie = copy(self)
        trie.parts = parts
        return trie


def _checked_part(vocabulary: Vocabulary, rows: NDArray[np.int32], first: int) -> TrieArrays:
    try:
        return TrieArrays.of(rows)
    except SameRowsError as same:
        earlier, later = same.args
        raise _given_twice(vocabulary, rows[later], first + earlier, first + later) from None


def _given_twice(
    vocabulary: Vocabulary, row: NDArray[np.int32], earlier: int, later: int
) -> InputError:
    codes = "-".join(str(code) for code in row[: vocabulary.levels].tolist())
    suffix = f" with suffix {row[-1]}" if vocabulary.suffixes else ""
    return InputError(f"the ID {codes}{suffix} is given twice, to items {earlier} and {later}")


def _all_rows(part: TrieArrays) -> NDArray[np.int32]:
    rows: NDArray[np.int32] = (
        part.rows(torch.arange(len(part.items), device=part.items.device)).cpu().numpy()
    )
    return rows
