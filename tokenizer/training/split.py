"""The split of items into those that train, choose the best step, or only report."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RowSplit", "split_rows"]


LEAST = 20


@dataclass(frozen=True)
class RowSplit:
    """Row numbers, ascending, of the training, validation and held-out items.

    If none is held out, the training rows also validate, and `held_out` is empty.
    """

    training: Tensor
    validation: Tensor
    held_out: Tensor


def split_rows(count: int, share: float, seed: int) -> RowSplit:
    """Hold out `share` of the rows, half to validate and half to report.

    With fewer than `LEAST` rows, or at a share of 0, no row is held out.
    """
    if count < LEAST or not share:
        rows = torch.arange(count)
        return RowSplit(rows, rows, rows[:0])
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    half = max(1, round(count * share / 2))
    parts = order[2 * half :], order[:half], order[half : 2 * half]
    return RowSplit(*(part.sort().values for part in parts))
