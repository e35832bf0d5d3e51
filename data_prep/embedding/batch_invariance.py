"""A row's result has the same bits in any batch: products run in blocks of a few shapes.

A library may sum the terms of a product in another order where the product has another number of
rows, and again on another processor. So only a few numbers of rows are ever computed, each of them
seen, on the machine that computes, to give a row the bits that the largest gives it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import torch
from torch import Tensor

__all__ = [
    "BlockSizes",
    "Function",
    "blockwise",
    "computing_threads",
    "differs_on_one_thread",
    "identical_block_sizes",
    "one_thread",
    "usable_threads",
]

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
        if parts[-1] > left:
            rows = torch.cat([rows, rows.new_zeros((parts[-1] - left, *rows.shape[1:]))])
    if len(parts) == 1:
        return function(rows)[: full * sizes[0] + left]
    return torch.cat([function(block) for block in torch.split(rows, parts)])[
        : full * sizes[0] + left
    ]


def identical_block_sizes(
    function: Function, rows: Tensor, sizes: Sequence[int]
) -> tuple[int, ...]:
    """Return the first of `sizes`, and those whose blocks give every row the bits that it gives.

    In which order the terms of a product are summed a library chooses by shapes, by places in
    memory and by machine, but not by values: what is equal for many rows of noise is equal for all.
    Where a row's place in its block matters, the rows go one by one: (1,) is returned.

    Args:
        rows: (n, …) noise, n a multiple of the first size.
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


def differs_on_one_thread(function: Function, rows: Tensor, size: int) -> bool:
    """Tell whether torch's threads together change a bit of what one computes in such blocks."""
    if torch.get_num_threads() == 1:
        return False
    with one_thread():
        expected = blockwise(function, rows, (size,))
    return not torch.equal(blockwise(function, rows, (size,)), expected)


class BlockSizes:
    """The sizes of blocks for one function, each compared with the largest when first asked for.

    Attributes:
        largest: rows of all blocks but the last; 1 where a row's place in its block matters.
    """

    def __init__(self, function: Function, noise: Tensor, step: int) -> None:
        """Compare places in the largest block, which has as many rows as `noise`.

        Args:
            step: sizes are its multiples.
        """
        self._function = function
        self._noise = noise
        self._step = step
        [self.largest] = identical_block_sizes(function, noise, (len(noise),))
        self._identical: dict[int, bool] = {}

    def of(self, rows: int) -> tuple[int, ...]:
        """Return what `blockwise` needs for that many rows: the largest, and one for the rest."""
        left = rows % self.largest
        for size in range(-(-left // self._step) * self._step, self.largest, self._step):
            if left and self._is_identical(size):
                return (self.largest, size)
        return (self.largest,)

    def _is_identical(self, size: int) -> bool:
        if size not in self._identical:
            sizes = (self.largest, size)
            found = identical_block_sizes(self._function, self._noise, sizes)
            self._identical[size] = found == sizes
        return self._identical[size]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on the calling thread alone; others are not concerned."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def computing_threads(
    threads: int, name: str, start: Callable[[], object] = lambda: None
) -> ThreadPoolExecutor:
    """Return threads on each of which torch computes alone; all have started.

    So do threads that the process makes later, until somebody calls `torch.set_num_threads`; the
    calling thread stays as it is.

    Args:
        name: of the threads.
        start: called first in each of them.
    """
    all_there = threading.Barrier(threads)

    def begin() -> None:
        torch.set_num_threads(1)
        start()

    pool = ThreadPoolExecutor(threads, name, initializer=begin)
    for started in [pool.submit(all_there.wait) for _ in range(threads)]:
        started.result()
    return pool


def usable_threads() -> int:
    """Return how many passes may run side by side here.

    It is the cores that the process may use, by affinity and by its control group's limit, or
    fewer where the calling thread of torch is told so (`OMP_NUM_THREADS`).
    """
    return max(1, min(int(joblib.cpu_count()), torch.get_num_threads()))
