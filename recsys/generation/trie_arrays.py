"""A sorted set of IDs as flat arrays, depth by depth.

A node is a prefix, numbered within its depth in sorted order; its children are a range of the next
depth's nodes, in the order of their codes; a leaf is an ID. The walk is in torch and has no loop
over nodes. This is the trie's `children` lists laid end to end (compressed sparse rows).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["NOWHERE", "SameRowsError", "TrieArrays"]

NOWHERE = -1


class SameRowsError(Exception):
    """Two rows are the same; the arguments are their numbers."""


@dataclass(frozen=True)
class TrieArrays:
    """One sorted set of IDs as a tree; every array int32.

    Positions and depths are those of the tree: a node of depth p has the codes of p positions
    behind it, and `position` p is that of its children.

    Attributes:
        codes: by depth 1 … length, each node's last token, counted from its position's first.
        children: by depth 0 … length - 1, each node's first child, and the number of all.
        items: of each leaf.
        leaves: of each item.
    """

    codes: list[Tensor]
    children: list[Tensor]
    items: Tensor
    leaves: Tensor

    @classmethod
    def of(cls, rows: NDArray[np.int32]) -> "TrieArrays":
        """Sort rows (n, length); `SameRowsError` where two are the same."""
        order = np.lexsort(rows.T[::-1])
        starts = np.zeros(1, dtype=np.int64)
        differs = np.zeros(len(rows), dtype=np.bool_)
        differs[0] = True
        codes, children = [], []
        for position in range(rows.shape[1]):
            column = rows[order, position]
            differs[1:] |= column[1:] != column[:-1]
            parents, starts = starts, np.flatnonzero(differs)
            codes.append(_int32(column[starts]))
            children.append(_int32(np.append(np.searchsorted(starts, parents), len(starts))))
        if not differs.all():
            later = int(differs.argmin())
            raise SameRowsError(int(order[later - 1]), int(order[later]))
        leaves = np.empty(len(rows), dtype=np.int32)
        leaves[order] = np.arange(len(rows), dtype=np.int32)
        return cls(codes, children, _int32(order), torch.from_numpy(leaves))

    def tensors(self) -> list[Tensor]:
        """Return every array."""
        return [*self.codes, *self.children, self.items, self.leaves]

    def to(self, device: torch.device | str) -> "TrieArrays":
        """Return a copy on another device."""
        return TrieArrays(
            [column.to(device) for column in self.codes],
            [column.to(device) for column in self.children],
            self.items.to(device),
            self.leaves.to(device),
        )

    def child(self, position: int, nodes: Tensor, codes: Tensor) -> Tensor:
        """Find the child with a code by halving each node's range of children."""
        low, end = self._range(position, nodes)
        column = self.codes[position]
        last = len(column) - 1
        high = end
        longest = int((end - low).max()) if nodes.numel() else 0
        for _ in range(longest.bit_length()):
            middle = (low + high) // 2
            right = (low < high) & (column[middle.clamp(max=last)] < codes)
            low, high = torch.where(right, middle + 1, low), torch.where(right, high, middle)
        found = (low < end) & (column[low.clamp(max=last)] == codes)
        return torch.where(found, low, NOWHERE)

    def allow(self, position: int, nodes: Tensor, mask: Tensor, closed: Tensor | None) -> None:
        """Set, in mask (users, beams, width), the codes of the children that are not closed."""
        first, end = self._range(position, nodes.flatten())
        counts = end - first
        beams = torch.arange(len(counts), device=nodes.device).repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        children = torch.arange(len(beams), device=nodes.device) + (first - before)[beams]
        if closed is not None and len(closed):
            keys = beams // nodes.shape[1] * len(self.codes[position]) + children
            near = torch.searchsorted(closed, keys).clamp_(max=len(closed) - 1)
            is_open = closed[near] != keys
            beams, children = beams[is_open], children[is_open]
        mask.view(-1, mask.shape[-1])[beams, self.codes[position][children].long()] = True

    def close(self, users: Tensor, items: Tensor) -> list[Tensor]:
        """Return, by depth 1 … length, the sorted keys of the nodes that hold no other items."""
        keys = torch.unique(users * len(self.items) + self.leaves[items])
        closed = [keys]
        for position in range(len(self.codes) - 1, 0, -1):
            below, here = len(self.codes[position]), len(self.codes[position - 1])
            parents = self._parents(position, keys % below)
            keys, gone = torch.unique_consecutive(
                keys // below * here + parents, return_counts=True
            )
            first, end = self._range(position, keys % here)
            keys = keys[gone == end - first]
            closed.append(keys)
        return closed[::-1]

    def rows(self, items: Tensor) -> Tensor:
        """Return the codes of items (n,): (n, length) int32."""
        nodes = self.leaves[items].long()
        columns = []
        for position in range(len(self.codes) - 1, -1, -1):
            columns.append(self.codes[position][nodes])
            nodes = self._parents(position, nodes)
        return torch.stack(columns[::-1], dim=1)

    def _range(self, position: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Return each node's first child and the one after its last; the same for no node."""
        known = nodes.clamp(min=0)
        first = self.children[position][known].long()
        end = self.children[position][known + 1].long()
        return first, torch.where(nodes < 0, first, end)

    def _parents(self, position: int, nodes: Tensor) -> Tensor:
        return torch.searchsorted(self.children[position], nodes.int(), right=True) - 1


def _int32(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.int32))
