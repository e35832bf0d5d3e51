"""Rows through a network in blocks of a few shapes: a row's result is the same in any batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["alike", "blockwise"]

Function = Callable[[Tensor], Tensor]


def blockwise(function: Function, rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Apply `function` to rows (n, …) in blocks, of which there is at least one.

    Args:
        sizes: of blocks, falling. The first is that of all blocks but the last, which has the
            smallest size that holds what is left, padded with zeros.
    """
    full, left = divmod(len(rows), sizes[0])
    parts = [sizes[0]] * full
    if left or not full:
        parts.append(min(size for size in sizes if size >= left))
        rows = torch.cat([rows, rows.new_zeros((parts[-1] - left, *rows.shape[1:]))])
    return torch.cat([function(block) for block in torch.split(rows, parts)])[
        : full * sizes[0] + left
    ]


def alike(function: Function, rows: Tensor, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the first of `sizes`, and those whose blocks give every row the bits that it gives.

    In which order the terms of a product are summed a library chooses by shapes, by places in
    memory and by machine, but not by values: what is equal for many rows of noise is equal for all.
    Where a row's place in its block matters, the rows go one by one: (1,) is returned.

    Args:
        rows: (n, …) noise, n a multiple of every size.
    """
    expected = blockwise(function, rows, sizes[:1])
    if torch.equal(expected, expected[:1].expand_as(expected)):  # which tells nothing
        return (sizes[0],)
    if not torch.equal(blockwise(function, rows.roll(1, 0), sizes[:1]).roll(-1, 0), expected):
        return (1,)
    return (
        sizes[0],
        *(s for s in sizes[1:] if torch.equal(blockwise(function, rows, (s,)), expected)),
    )
