"""A learnt number that is added to the scores of the items in a user's history.

When inputs and outputs share their vectors, a history scores its own items high, whether or not
users return to items. The learnt number corrects this from the data.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from recsys.data.histories import distinct_items

__all__ = ["RepeatScore", "Repeats"]


@dataclass(frozen=True, eq=False)
class Repeats:
    """Numbers to add to scores (B, n_items) at some items of each row, such as its history.

    Attributes:
        items: (B, n) int64, columns of the scores; an item may occur twice.
        values: (B, n) float32, 0 at padding.
    """

    items: Tensor
    values: Tensor

    @classmethod
    def none(cls, like: Tensor) -> Self:
        """Return an object that adds nothing to the scores of rows (B, d)."""
        empty = like.new_empty(len(like), 0)
        return cls(empty.long(), empty)

    def and_also(self, other: Self) -> Self:
        """Return an object that adds what both add."""
        both = zip((self.items, self.values), (other.items, other.values), strict=True)
        return type(self)(*(torch.cat(pair, 1) for pair in both))

    def among(self, columns: Tensor) -> Self:
        """Return the same for scores of some items alone: columns (C,) int64, ascending."""
        places = torch.searchsorted(columns, self.items).clamp(max=len(columns) - 1)
        return type(self)(places, self.values * (columns[places] == self.items))

    def by_item(self) -> list[dict[int, float]]:
        """Return, for each row, the number to add by item."""
        found = []
        for items, values in zip(self.items.tolist(), self.values.tolist(), strict=True):
            row: dict[int, float] = {}
            for item, value in zip(items, values, strict=True):
                if value:
                    row[item] = row.get(item, 0.0) + value
            found.append(row)
        return found

    def added_to(self, scores: Tensor) -> Tensor:
        """Return scores (B, n_items) with the numbers added."""
        return scores.scatter_add(1, self.items, self.values.to(scores.dtype))


class RepeatScore(nn.Module):
    """Holds the learnt number, zero at first, in units of √d: the scale of products of width d."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.unit = width**0.5

    def forward(self, histories: Tensor) -> Repeats:
        """Return what is added for histories (B, T) int64, padded with -1."""
        items, first = distinct_items(histories)
        return Repeats(items.clamp(min=0), first.float() * (self.weight * self.unit))
