"""Which items train, which choose the step, and which only report."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["RowSplit", "split_rows"]


LEAST = 20


@dataclass(frozen=True)
class RowSplit:
    """Row numbers, each ascending: to train on, to choose the step by, and to report on.

    Where none is held out the training rows choose the step, and `held_out` is empty.
    """

    training: Tensor
    validation: Tensor
    held_out: Tensor


def split_rows(count: int, share: float, seed: int) -> RowSplit:
    """Hold out `share` of the rows, half to validate and half to report.

    With fewer than `LEAST` rows, or a share of 0, none is held out.
    """
    if count < LEAST or not share:
        rows = torch.arange(count)
        return RowSplit(rows, rows, rows[:0])
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    half = max(1, round(count * share / 2))
    parts = order[2 * half :], order[:half], order[half : 2 * half]
    return RowSplit(*(part.sort().values for part in parts))
