"""A catalogue's IDs as a tree: a node is a prefix, and its children are siblings.

A generator tells siblings apart, step by step, from the root to an item.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_prep.errors import InputError
from recsys.generation.valid_ids.trie_arrays import NOWHERE, SameRowsError, TrieArrays

__all__ = ["ItemTree", "id_rows"]


class ItemTree:
    """A tree of IDs with static tables of each node's children and of each item's nodes.

    The nodes of depth p are the distinct prefixes of p codes, numbered in sorted order; depth 0 is
    the root. The children of a node are a range of the next depth's numbers.

    Attributes:
        arrays: codes and children of all nodes.
        nodes: (n_items, length) int64, each item's node of depth 1 … length.
        rows: (n_items, length) int64, the codes of each item, and its suffix if the IDs have one.
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        """Sort IDs (n_items, length).

        Raises:
            InputError: an ID occurs twice.
        """
        try:
            self.arrays = TrieArrays.of(rows.astype(np.int32))
        except SameRowsError as same:
            earlier, later = same.args
            raise InputError(
                f"the ID {'-'.join(map(str, rows[later].tolist()))} is given twice, to items "
                f"{earlier} and {later}"
            ) from None
        self.rows = torch.from_numpy(rows.astype(np.int64))
        self.nodes = self._nodes()

    @property
    def length(self) -> int:
        """Positions of an ID."""
        return len(self.arrays.codes)

    @property
    def device(self) -> torch.device:
        """The device of the tables."""
        return self.nodes.device

    def __len__(self) -> int:
        return len(self.nodes)

    def to(self, device: torch.device | str) -> "ItemTree":
        """Return a copy on another device."""
        tree = object.__new__(ItemTree)
        tree.arrays = self.arrays.to(device)
        tree.rows, tree.nodes = self.rows.to(device), self.nodes.to(device)
        return tree

    def width(self, depth: int) -> int:
        """Return how many nodes a depth has."""
        return len(self.arrays.codes[depth - 1]) if depth else 1

    def codes(self, depth: int) -> Tensor:
        """Return the last code of each node of depth ≥ 1, (nodes,) int64."""
        return self.arrays.codes[depth - 1].long()

    def children(self, depth: int, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Return each node's first child and how many children it has; -1 has none."""
        known = nodes.clamp(min=0)
        table = self.arrays.children[depth]
        first = table[known].long()
        count = table[known + 1].long() - first
        return first, count.masked_fill(nodes < 0, 0)

    def parents(self, depth: int) -> Tensor:
        """Return the parent of each node of depth ≥ 1, (nodes,) int64."""
        below = torch.arange(self.width(depth), device=self.device, dtype=torch.int32)
        return torch.searchsorted(self.arrays.children[depth - 1], below, right=True) - 1

    def items(self, leaves: Tensor) -> Tensor:
        """Return the item numbers of leaves; -1 of -1."""
        return torch.where(leaves < 0, NOWHERE, self.arrays.items[leaves.clamp(min=0)].long())

    def sums(self, depth: int, values: Tensor) -> Tensor:
        """Return the sums of items' values (n_items, …) over the items under each node."""
        total = values.new_zeros(self.width(depth), *values.shape[1:])
        return total.index_add(0, self.nodes[:, depth - 1], values)

    def open_nodes(self, items: Tensor) -> list[Tensor]:
        """Return, by depth 1 … length, which nodes have one of these items (n,), as bool."""
        found = []
        for depth in range(1, self.length + 1):
            has = torch.zeros(self.width(depth), dtype=torch.bool, device=self.device)
            has[self.nodes[items, depth - 1]] = True
            found.append(has)
        return found

    def exclude(self, items: Tensor, only: Sequence[Tensor] | None = None) -> list[Tensor]:
        """Return, by depth 1 … length, the nodes that have no item left for a user.

        Args:
            items: (users, n) int64, items to leave out, padded with -1.
            only: from `open_nodes`; other nodes are not counted.

        Returns:
            Sorted keys: user · (nodes of the depth) + node.
        """
        users = torch.arange(len(items), device=items.device)[:, None].expand_as(items)
        given = items >= 0
        users, left_out = users[given], items[given].to(self.device)
        if only is not None:
            counted = only[-1][self.nodes[left_out, -1]]
            users, left_out = users[counted], left_out[counted]
        keys = torch.unique(users.to(self.device) * len(self) + self.nodes[left_out, -1])
        closed = [keys]
        for depth in range(self.length - 1, 0, -1):
            below, here = self.width(depth + 1), self.width(depth)
            parents = self.parents(depth + 1)[keys % below]
            keys, gone = torch.unique_consecutive(
                keys // below * here + parents, return_counts=True
            )
            keys = keys[gone == self._open_children(depth, keys % here, only)]
            closed.append(keys)
        return closed[::-1]

    def _open_children(self, depth: int, nodes: Tensor, only: Sequence[Tensor] | None) -> Tensor:
        first, count = self.children(depth, nodes)
        if only is None:
            return count
        before = torch.nn.functional.pad(only[depth].long().cumsum(0), (1, 0))
        return before[first + count] - before[first]

    def _nodes(self) -> Tensor:
        nodes = self.arrays.leaves.long()
        columns = [nodes]
        for depth in range(self.length, 1, -1):
            table = self.arrays.children[depth - 1]
            nodes = torch.searchsorted(table, nodes.int(), right=True) - 1
            columns.append(nodes)
        return torch.stack(columns[::-1], dim=1)


def id_rows(
    codes: NDArray[np.uint16], suffixes: NDArray[np.uint32] | None, headroom: int
) -> NDArray[np.int64]:
    """Return the codes of each item, and its suffix if one is or can be needed."""
    rows = codes.astype(np.int64)
    if suffixes is None:
        suffixes = np.zeros(len(codes), np.uint32)
    if not suffixes.any() and not headroom:
        return rows
    return np.concatenate([rows, suffixes.astype(np.int64)[:, None]], 1)
