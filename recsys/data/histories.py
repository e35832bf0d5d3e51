"""Rows of item numbers: which items are distinct, and which came before."""

import torch
from torch import Tensor

from recsys.data.dataset import NO_ITEM

__all__ = ["distinct_items", "items_until"]


def distinct_items(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows (B, T) int64 in ascending order, and which are the first of their kind, (B, T).

    Padding, -1, is the first of none.
    """
    ordered = rows.sort(1).values
    first = ordered != NO_ITEM
    first[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return ordered, first


def items_until(rows: Tensor, present: Tensor) -> Tensor:
    """Return (P, T), for each item of rows (B, T) that is present the items up to it, -1 behind."""
    until = torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool, device=rows.device).tril()
    every = rows[:, None, :].masked_fill(~until, NO_ITEM)
    return every[present]
