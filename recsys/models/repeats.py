"""A learnt number that is added to the scores of the items in a user's history.

When inputs and outputs share their vectors, a history scores its own items high, whether or not
users return to items. The learnt number corrects this from the data.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from recsys.data.histories import distinct_items

__all__ = ["RepeatScore", "Repeats"]


@dataclass(frozen=True, eq=False)
class Repeats:
    """A number to add to scores (B, n_items) at the items of each row's history.

    Attributes:
        score: () float32, added once for each distinct item.
        items: (B, T) int64, columns of the scores.
        counted: (B, T) float32, 1 at entries of `items` that get the number, 0 at the others.
    """

    score: Tensor
    items: Tensor
    counted: Tensor

    @classmethod
    def none(cls, like: Tensor) -> Self:
        """Return an object that adds nothing to the scores of rows (B, d)."""
        empty = like.new_empty(len(like), 0)
        return cls(like.new_zeros(()), empty.long(), empty)

    def among(self, columns: Tensor) -> Self:
        """Return the same for scores of some items alone: columns (C,) int64, ascending."""
        places = torch.searchsorted(columns, self.items).clamp(max=len(columns) - 1)
        return replace(self, items=places, counted=self.counted * (columns[places] == self.items))

    def by_item(self) -> list[dict[int, float]]:
        """Return, for each row, the number to add by item."""
        counted = self.counted.bool()
        return [
            dict.fromkeys(items[which].tolist(), float(self.score))
            for items, which in zip(self.items, counted, strict=True)
        ]

    def added_to(self, scores: Tensor) -> Tensor:
        """Return scores (B, n_items) with the number added."""
        return scores.scatter_add(1, self.items, (self.counted * self.score).to(scores.dtype))


class RepeatScore(nn.Module):
    """Holds the learnt number, zero at first, in units of √d: the scale of products of width d."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.unit = width**0.5

    def forward(self, histories: Tensor) -> Repeats:
        """Return what is added for histories (B, T) int64, padded with -1."""
        items, first = distinct_items(histories)
        return Repeats(self.weight * self.unit, items.clamp(min=0), first.float())
