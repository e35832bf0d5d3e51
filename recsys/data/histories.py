"""Operations on rows of item numbers: distinct items, and the items up to each position."""

import torch
from torch import Tensor

from recsys.data.dataset import NO_ITEM

__all__ = ["distinct_items", "items_until", "newest_first"]


def distinct_items(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows (B, T) int64 in ascending order, and which entries are new in their row.

    The second result is (B, T) bool: True at the first copy of each item, False at further copies
    and at padding (-1).
    """
    ordered = rows.sort(1).values
    first = ordered != NO_ITEM
    first[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    return ordered, first


def items_until(rows: Tensor, present: Tensor) -> Tensor:
    """Return for each of the P present entries of rows (B, T) its row up to and including it.

    Args:
        rows: (B, T) int64.
        present: (B, T) bool, P of them True.

    Returns:
        (P, T) int64, -1 after the entry.
    """
    until = torch.ones(rows.shape[1], rows.shape[1], dtype=torch.bool, device=rows.device).tril()
    every = rows[:, None, :].masked_fill(~until, NO_ITEM)
    return every[present]


def newest_first(rows: Tensor, count: int) -> Tensor:
    """Return the last items of rows (B, T) int64: (B, count), from the newest, padded with -1."""
    at = (rows != NO_ITEM).sum(1, keepdim=True) - 1 - torch.arange(count, device=rows.device)
    return torch.where(at < 0, NO_ITEM, rows.gather(1, at.clamp(min=0)))
