"""Which items train, which choose the step, and which only report."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RowSplit", "split_rows"]


@dataclass(frozen=True)
class RowSplit:
    """Row numbers, each ascending: to train on, to choose the step by, and to report on."""

    training: Tensor
    validation: Tensor
    held_out: Tensor


def split_rows(count: int, share: float, seed: int) -> RowSplit:
    """Hold out `share` of the rows, half to validate and half to report.

    With fewer than 20 rows none is held out and all rows serve for all three.
    """
    if count < 20:
        rows = torch.arange(count)
        return RowSplit(rows, rows, rows)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    half = max(1, round(count * share / 2))
    parts = order[2 * half :], order[:half], order[half : 2 * half]
    return RowSplit(*(part.sort().values for part in parts))
