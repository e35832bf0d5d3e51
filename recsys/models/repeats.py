"""One learnt number for the items that a user had before: whether they are met again.

The product of a history's vector with those of its own items is high where inputs and outputs share
their vectors, whether people come back to an item or never do. Which of the two holds is learnt
here, from the data.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from recsys.data.histories import distinct_items

__all__ = ["RepeatScore", "Repeats"]


@dataclass(frozen=True, eq=False)
class Repeats:
    """What is added to the scores (B, n_items) of the items that were there before.

    Attributes:
        score: () float32, added once for an item, however often it was there.
        items: (B, T) int64, columns of the scores.
        counted: (B, T) float32, 1 for each that is meant and 0 for the others.
    """

    score: Tensor
    items: Tensor
    counted: Tensor

    @classmethod
    def none(cls, like: Tensor) -> Self:
        """Return what adds nothing to the scores of rows (B, d)."""
        empty = like.new_empty(len(like), 0)
        return cls(like.new_zeros(()), empty.long(), empty)

    def among(self, columns: Tensor) -> Self:
        """Return the same for scores of these items alone, ascending (C,) int64."""
        places = torch.searchsorted(columns, self.items).clamp(max=len(columns) - 1)
        return replace(self, items=places, counted=self.counted * (columns[places] == self.items))

    def by_item(self) -> list[dict[int, float]]:
        """Return for each row what is added, by item."""
        meant = self.counted.bool()
        return [
            dict.fromkeys(items[which].tolist(), float(self.score))
            for items, which in zip(self.items, meant, strict=True)
        ]

    def added(self, scores: Tensor) -> Tensor:
        """Return scores (B, n_items) with it."""
        return scores.scatter_add(1, self.items, (self.counted * self.score).to(scores.dtype))


class RepeatScore(nn.Module):
    """The number, zero at first, in units of √d as the products of vectors of width d are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.unit = width**0.5

    def forward(self, before: Tensor) -> Repeats:
        """Return what is added for items (B, T) int64 that were there before, -1 to fill."""
        items, first = distinct_items(before)
        return Repeats(self.weight * self.unit, items.clamp(min=0), first.float())
