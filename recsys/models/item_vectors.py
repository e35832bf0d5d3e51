"""An item's vector as the sum of chosen parts: a dense ID, its codes, prefixes, its content."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.data.dataset import SequenceDataset
from recsys.models.causal_transformer import INITIAL_STD

__all__ = ["PARTS", "ItemVectors"]

PARTS = ("dense", "codes", "prefixes", "content")
LONGEST_PREFIX = 3


class ItemVectors(nn.Module):
    """The vectors (n_items, width) of a catalogue, the sum of the chosen parts.

    * `dense`: a learnt row for each item. Beside another part it is a residual, which items without
      a training event do not have.
    * `codes`: the sum over the L levels of the code's row in that level's table. If the data has
      codebooks, a row is the sum of a learnt row and a linear map of its codeword, so that similar
      codes start with similar rows. Codewords are scaled so that their sums over an item's codes
      have a mean length of 1.
    * `prefixes`: the sum of a row for the first 2 codes and a row for the first 3. A prefix has a
      row only if an item with a training event has it; other prefixes add nothing.
    * `content`: a linear map of the item's content vector, which is scaled to length 1.

    Args:
        parts: at least one of `PARTS`.
        width: d.

    Raises:
        InputError: an unknown part, no part, or a part that the dataset lacks the data for.
    """

    def __init__(self, dataset: SequenceDataset, parts: Sequence[str], width: int) -> None:
        super().__init__()
        if not parts or (unknown := set(parts).difference(PARTS)):
            named = ", ".join(sorted(unknown)) if parts else "none"
            raise InputError(f"item vectors of {named}; choose from {', '.join(PARTS)}")
        self.dense = self.levels = self.meaning = self.prefixes = self.projection = None
        if "dense" in parts:
            self.dense = nn.Parameter(torch.randn(dataset.n_items, width) * INITIAL_STD)
            has_residual = torch.ones(dataset.n_items, 1)
            if len(set(parts)) > 1:
                has_residual = torch.from_numpy(dataset.popularity > 0).float()[:, None]
            self.register_buffer("has_residual", has_residual, persistent=False)
        if {"codes", "prefixes"}.intersection(parts) and dataset.codes is None:
            raise InputError("the data has no codes; prepare it with --ids")
        if "prefixes" in parts:
            assert dataset.codes is not None
            self.prefixes = _Prefixes(dataset, width)
        if "codes" in parts:
            assert dataset.codes is not None
            codes, size = torch.from_numpy(dataset.codes.astype("int64")), dataset.codebook_size
            each = INITIAL_STD / codes.shape[1] ** 0.5
            self.levels = nn.Parameter(torch.randn(codes.shape[1] * size, width) * each)
            rows = codes + size * torch.arange(codes.shape[1])
            self.register_buffer("rows", rows, persistent=False)
            if dataset.codebooks is not None:
                codewords = torch.from_numpy(dataset.codebooks).flatten(0, 1)
                lengths = functional.embedding_bag(rows, codewords, mode="sum").norm(dim=1)
                codewords = codewords / lengths.mean()
                self.register_buffer("codewords", codewords, persistent=False)
                self.meaning = _projection(codewords.shape[1], width)
        if "content" in parts:
            if dataset.vectors is None:
                raise InputError("the data has no content vectors; prepare it with --vectors")
            vectors = functional.normalize(torch.from_numpy(dataset.vectors), dim=1)
            self.register_buffer("content", vectors, persistent=False)
            self.projection = _projection(vectors.shape[1], width)

    def forward(self, dropped: Tensor | None = None, items: Tensor | None = None) -> Tensor:
        """Return the vectors of all items, (n_items, width), or of some.

        Args:
            dropped: (n_items,) bool, items that are taken as if they had no training event: they
                have no residual, and prefixes that only they have in training have no row.
            items: (n,) int64, the only items whose vectors are computed; all where None.
        """
        parts: list[Tensor] = []
        if self.dense is not None:
            has_residual = self.get_buffer("has_residual")
            if dropped is not None:
                has_residual = has_residual * ~dropped[:, None]
            parts.append(_some(self.dense, items) * _some(has_residual, items))
        if self.levels is not None:
            parts.append(self._of_codes(self.levels, _some(self.get_buffer("rows"), items)))
        if self.prefixes is not None:
            parts.append(self.prefixes(dropped, items))
        if self.projection is not None:
            parts.append(self.projection(_some(self.get_buffer("content"), items)))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    @property
    def needs_content(self) -> bool:
        """Whether a new item needs a content vector beside its codes."""
        return self.projection is not None

    @torch.no_grad()
    def extend(self, codes: Tensor) -> None:
        """Add items that have codes (n, L) int64 alone, without residual and content."""
        if self.prefixes is not None:
            self.prefixes.extend(codes)
        own = self.get_buffer("rows")
        assert self.levels is not None
        size = len(self.levels) // own.shape[1]
        offsets = size * torch.arange(own.shape[1], device=own.device)
        self.rows = torch.cat([own, codes.to(own.device) + offsets])
        if self.dense is not None:
            zeros = self.dense.new_zeros(len(codes), self.dense.shape[1])
            self.dense = nn.Parameter(torch.cat([self.dense, zeros]))
            self.has_residual = torch.cat([self.get_buffer("has_residual"), zeros[:, :1]])

    def _of_codes(self, levels: Tensor, rows: Tensor) -> Tensor:
        if self.meaning is not None:
            levels = levels + self.meaning(self.get_buffer("codewords"))
        return functional.embedding_bag(rows, levels, mode="sum")


class _Prefixes(nn.Module):
    """The sum of the rows of an item's prefixes; only prefixes seen in training have rows."""

    def __init__(self, dataset: SequenceDataset, width: int) -> None:
        super().__init__()
        assert dataset.codes is not None
        if dataset.codes.shape[1] < 2:
            raise InputError("prefixes need IDs of two codes or more; these have one")
        self.size = dataset.codebook_size
        codes = torch.from_numpy(dataset.codes.astype("int64"))
        keys = self._keys(codes)
        seen = torch.from_numpy(dataset.popularity > 0)
        self.register_buffer("known", torch.unique(keys[seen]), persistent=False)
        self.register_buffer("rows", self._rows(keys), persistent=False)
        self.register_buffer("seen", seen, persistent=False)
        self.table = nn.Parameter(
            torch.randn(len(self.get_buffer("known")) + 1, width) * INITIAL_STD
        )

    def forward(self, dropped: Tensor | None = None, items: Tensor | None = None) -> Tensor:
        rows, nothing = self.get_buffer("rows"), len(self.table) - 1
        if dropped is not None:
            has_row = torch.zeros(len(self.table), dtype=torch.bool, device=rows.device)
            has_row[rows[self.get_buffer("seen") & ~dropped].flatten()] = True
            rows = torch.where(has_row[rows], rows, nothing)
        return functional.embedding_bag(
            _some(rows, items), self.table, mode="sum", padding_idx=nothing
        )

    def extend(self, codes: Tensor) -> None:
        own, seen = self.get_buffer("rows"), self.get_buffer("seen")
        self.rows = torch.cat([own, self._rows(self._keys(codes.to(own.device)))])
        self.seen = torch.cat([seen, seen.new_zeros(len(codes))])

    def _keys(self, codes: Tensor) -> Tensor:
        """Return a number for each prefix: (n, prefixes) int64, from shorter to longer."""
        keys, key, first = [], codes[:, 0], 0
        for length in range(2, min(LONGEST_PREFIX, codes.shape[1]) + 1):
            key = key * self.size + codes[:, length - 1]
            keys.append(key + first)
            first += self.size**length
        return torch.stack(keys, 1)

    def _rows(self, keys: Tensor) -> Tensor:
        known = self.get_buffer("known")
        places = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
        return torch.where(known[places] == keys, places, len(known))


def _some(rows: Tensor, items: Tensor | None) -> Tensor:
    return rows if items is None else functional.embedding(items, rows)


def _projection(width: int, into: int) -> nn.Linear:
    linear = nn.Linear(width, into, bias=False)
    nn.init.normal_(linear.weight, std=INITIAL_STD)
    return linear
