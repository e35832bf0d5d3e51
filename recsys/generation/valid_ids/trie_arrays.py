"""A sorted set of IDs as flat arrays, depth by depth.

A node is a prefix; the nodes of a depth are numbered in sorted order. The children of a node are a
range of the next depth's nodes, in the order of their codes. A leaf is an ID. The layout is that of
compressed sparse rows; all operations are torch's, without a loop over nodes.
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
    """Two rows are equal; the arguments are their numbers."""


@dataclass(frozen=True)
class TrieArrays:
    """One sorted set of IDs as a tree; every array is int32.

    A node of depth p is a prefix of p codes; its children are the codes of position p.

    Attributes:
        codes: by depth 1 … length, each node's last token, counted from its position's first.
        children: by depth 0 … length - 1, each node's first child; the last entry is the number of
            children of all nodes.
        items: the item of each leaf.
        leaves: the leaf of each item.
    """

    codes: list[Tensor]
    children: list[Tensor]
    items: Tensor
    leaves: Tensor

    @classmethod
    def of(cls, rows: NDArray[np.int32]) -> "TrieArrays":
        """Sort rows (n, length).

        Raises:
            SameRowsError: two rows are equal.
        """
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
        """Find each node's child with a code, by bisection; -1 where it has none."""
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
        """Set mask (users, beams, width) at the codes of each node's open children."""
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
        """Return, by depth 1 … length, the sorted keys of the nodes that have no other items."""
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
        """Return each node's first child and the end of its children; an empty range for -1."""
        known = nodes.clamp(min=0)
        first = self.children[position][known].long()
        end = self.children[position][known + 1].long()
        return first, torch.where(nodes < 0, first, end)

    def _parents(self, position: int, nodes: Tensor) -> Tensor:
        return torch.searchsorted(self.children[position], nodes.int(), right=True) - 1


def _int32(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.int32))
