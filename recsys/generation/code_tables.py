"""Learnt vectors of codes, position by position, and of the nodes that a catalogue's codes form."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys.data.dataset import SequenceDataset
from recsys.generation.valid_ids.item_tree import ItemTree
from recsys.models.causal_transformer import INITIAL_STD

__all__ = ["CodeTables", "NodeTables"]


class CodeTables(nn.Module):
    """A row for each code of each level, and for each suffix.

    If the data has codewords, the vector of a level's code is the sum of its row and a linear map
    of the codeword, so that similar codes start with similar vectors.

    Args:
        suffixes: how many suffixes have rows.
    """

    def __init__(self, dataset: SequenceDataset, suffixes: int, width: int) -> None:
        super().__init__()
        assert dataset.codes is not None
        self.levels, self.size = dataset.codes.shape[1], dataset.codebook_size
        rows = self.levels * self.size + suffixes
        self.rows = nn.Parameter(torch.randn(rows, width) * INITIAL_STD)
        self.meaning: nn.Linear | None = None
        if dataset.codebooks is not None:
            codewords = torch.from_numpy(dataset.codebooks).flatten(0, 1)
            scale = codewords.norm(dim=1).mean().clamp(min=torch.finfo().tiny)
            self.register_buffer("codewords", codewords / scale, persistent=False)
            self.meaning = nn.Linear(codewords.shape[1], width, bias=False)
            nn.init.normal_(self.meaning.weight, std=INITIAL_STD)

    def forward(self) -> Tensor:
        """Return the vectors of all codes of level 1, of level 2, …, then of the suffixes."""
        if self.meaning is None:
            return self.rows
        mapped: Tensor = self.meaning(self.get_buffer("codewords"))
        return self.rows + functional.pad(mapped, (0, 0, 0, len(self.rows) - len(mapped)))

    def place(self, position: int, codes: Tensor) -> Tensor:
        """Return where `forward` has the vectors of codes, or suffixes, of a position from 0."""
        return codes + position * self.size


class NodeTables(nn.Module):
    """The vectors of a tree's nodes: that of the node's last code, and a row of the node's own.

    Nodes of 2 to `rows_to` codes have a row of their own if an item under them has a training
    event.

    Args:
        seen: (n_items,) bool, which items have a training event.
    """

    def __init__(self, codes: CodeTables, tree: ItemTree, seen: Tensor, rows_to: int) -> None:
        super().__init__()
        self.of_codes = codes
        self.depths = range(2, min(rows_to, codes.levels) + 1)
        trained = tree.open_nodes(seen.nonzero().squeeze(1))
        rows, start = [], 0
        for depth in self.depths:
            has = trained[depth - 1]
            place = (has.long().cumsum(0) - 1 + start)[tree.nodes[:, depth - 1]]
            rows.append(place.masked_fill(~seen, -1))
            start += int(has.sum())
        table = torch.stack(rows, 1) if rows else torch.zeros(len(seen), 0, dtype=torch.long)
        self.register_buffer("rows_of_items", table, persistent=False)  # -1: not seen
        own = torch.randn(start + 1, codes.rows.shape[1]) * INITIAL_STD
        own[-1] = 0  # of nodes without a row; padding_idx keeps its gradient zero
        self.own = nn.Parameter(own)
        self.rebuild(tree, seen)

    def rebuild(self, tree: ItemTree, seen: Tensor) -> None:
        """Make the static tables of a tree: that of training, or one with further items."""
        trained = tree.open_nodes(seen.nonzero().squeeze(1))
        branches = []
        for depth in range(1, tree.length + 1):
            codes = self.of_codes.place(depth - 1, tree.codes(depth))
            self.register_buffer(f"codes{depth}", codes, persistent=False)
            self.register_buffer(f"trained{depth}", trained[depth - 1], persistent=False)
            parents = tree.parents(depth)
            siblings = torch.bincount(parents[trained[depth - 1]], minlength=tree.width(depth - 1))
            branches.append(siblings[parents][tree.nodes[:, depth - 1]] > 1)
        self.register_buffer("branches", torch.stack(branches, 1), persistent=False)
        for depth in self.depths:
            self.register_buffer(f"rows{depth}", self._rows(tree, depth), persistent=False)

    def trained(self, depth: int) -> Tensor:
        """Return which nodes of a depth have an item with a training event: (nodes,) bool."""
        return self.get_buffer(f"trained{depth}")

    def forward(self, tree: ItemTree, dropped: Tensor | None = None) -> list[Tensor]:
        """Return the vectors of all nodes, (nodes, width) for each depth 1 … length.

        Args:
            dropped: (n_items,) bool, items that are taken as if they had no training event.
        """
        codes, tables = self.of_codes(), []
        for depth in range(1, tree.length + 1):
            table = functional.embedding(self.get_buffer(f"codes{depth}"), codes)
            if depth in self.depths:
                rows = self.get_buffer(f"rows{depth}")
                if dropped is not None:
                    rows = self._rows(tree, depth, dropped)
                table = table + functional.embedding(rows, self.own, padding_idx=len(self.own) - 1)
            tables.append(table)
        return tables

    def _rows(self, tree: ItemTree, depth: int, dropped: Tensor | None = None) -> Tensor:
        """Return the own row of each node of a depth; the last row, of zeros, for no row."""
        own = self.get_buffer("rows_of_items")[:, depth - self.depths.start]
        counts = own >= 0
        if dropped is not None:
            counts = counts & ~dropped
        nothing = len(self.own) - 1
        rows = torch.full((tree.width(depth),), nothing, device=own.device)
        rows[tree.nodes[: len(own), depth - 1][counts]] = own[counts]
        return rows
