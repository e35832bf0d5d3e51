"""An item's vector as the sum of chosen parts: an ID of its own, its codes, its content."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import InputError
from recsys.causal_transformer import START
from recsys.dataset import SequenceDataset

__all__ = ["PARTS", "ItemVectors"]

PARTS = ("dense", "codes", "content")


class ItemVectors(nn.Module):
    """The vectors (n_items, width) of a catalogue, the sum of the chosen parts.

    * `dense`: a row of its own an item. Beside another part it is a residual that items without an
      event in training do not have.
    * `codes`: the sum over the L levels of the code's row in that level's table.
    * `content`: a linear image of the item's content vector, scaled to length 1.

    Args:
        parts: at least one of `PARTS`.
        width: d.

    Raises:
        InputError: an unknown part, none, or one that the dataset has no data for.
    """

    def __init__(self, dataset: SequenceDataset, parts: Sequence[str], width: int) -> None:
        super().__init__()
        if not parts or (unknown := set(parts).difference(PARTS)):
            named = ", ".join(sorted(unknown)) if parts else "none"
            raise InputError(f"item vectors of {named}; choose from {', '.join(PARTS)}")
        self.dense = self.levels = self.projection = None
        if "dense" in parts:
            self.dense = nn.Parameter(torch.randn(dataset.n_items, width) * START)
            has_residual = torch.ones(dataset.n_items, 1)
            if len(set(parts)) > 1:
                has_residual = torch.from_numpy(dataset.popularity > 0).float()[:, None]
            self.register_buffer("has_residual", has_residual, persistent=False)
        if "codes" in parts:
            if dataset.codes is None:
                raise InputError("the data has no codes; prepare it with --ids")
            codes, size = torch.from_numpy(dataset.codes.astype("int64")), dataset.codebook_size
            each = START / codes.shape[1] ** 0.5
            self.levels = nn.Parameter(torch.randn(codes.shape[1] * size, width) * each)
            rows = codes + size * torch.arange(codes.shape[1])
            self.register_buffer("rows", rows, persistent=False)
        if "content" in parts:
            if dataset.vectors is None:
                raise InputError("the data has no content vectors; prepare it with --vectors")
            vectors = functional.normalize(torch.from_numpy(dataset.vectors), dim=1)
            self.register_buffer("content", vectors, persistent=False)
            self.projection = nn.Linear(vectors.shape[1], width, bias=False)
            nn.init.normal_(self.projection.weight, std=START)

    def forward(self) -> Tensor:
        """Return the vectors of all items, (n_items, width)."""
        parts: list[Tensor] = []
        if self.dense is not None:
            parts.append(self.dense * self.get_buffer("has_residual"))
        if self.levels is not None:
            rows = self.get_buffer("rows")
            parts.append(functional.embedding_bag(rows, self.levels, mode="sum"))
        if self.projection is not None:
            parts.append(self.projection(self.get_buffer("content")))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def of_new(self, codes: Tensor | None, content: Tensor | None) -> Tensor:
        """Return the vectors (N, width) of items that are not in the dataset: no residual.

        Args:
            codes: (N, L) int64; needed where codes are a part.
            content: (N, D) float32; needed where the content is a part.

        Raises:
            InputError: a part is missing, or all that an item is here is its dense ID.
        """
        parts: list[Tensor] = []
        if self.levels is not None:
            if codes is None:
                raise InputError("a new item needs its codes here")
            size = len(self.levels) // codes.shape[1]
            rows = codes + size * torch.arange(codes.shape[1], device=codes.device)
            parts.append(functional.embedding_bag(rows, self.levels, mode="sum"))
        if self.projection is not None:
            if content is None:
                raise InputError("a new item needs its content vector here")
            parts.append(self.projection(functional.normalize(content, dim=1)))
        if not parts:
            raise InputError("a model of dense IDs alone cannot know a new item")
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]
