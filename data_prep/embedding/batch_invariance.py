"""Matrix products in blocks of a few sizes, so that a row has the same bits in any batch.

A library may sum the terms of a product in another order when the number of rows or the processor
changes. Products therefore use only a few block sizes. Each size was compared with the largest one
on the same machine, and gives every row the same bits.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from data_prep.threads import available_threads

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
    """Apply `function` to rows (n, …) in blocks; no rows make one block of zeros.

    Args:
        sizes: of blocks, falling. All blocks but the last have the first size. The last block has
            the smallest size that holds the remaining rows, padded with zeros.
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
    """Return the block sizes whose results are bit-identical to those of `sizes[0]`.

    A library chooses the order of a sum by shape, memory layout and machine, never by values: sizes
    that agree on many rows of noise agree on all rows. If a row's result depends on its position in
    the block, the result is (1,): rows must be computed one by one.

    Args:
        rows: (n, …) noise, n a multiple of the first size.
    """
    expected = blockwise(function, rows, sizes[:1])
    if torch.equal(
        expected, expected[:1].expand_as(expected)
    ):  # equal rows cannot show a difference
        return (sizes[0],)
    if not torch.equal(blockwise(function, rows.roll(1, 0), sizes[:1]).roll(-1, 0), expected):
        return (1,)
    return (
        sizes[0],
        *(s for s in sizes[1:] if torch.equal(blockwise(function, rows, (s,)), expected)),
    )


def differs_on_one_thread(function: Function, rows: Tensor, size: int) -> bool:
    """Return whether one thread and several threads give different bits in blocks of `size`."""
    if torch.get_num_threads() == 1:
        return False
    with one_thread():
        expected = blockwise(function, rows, (size,))
    return not torch.equal(blockwise(function, rows, (size,)), expected)


class BlockSizes:
    """The block sizes of one function; each is compared with the largest at its first use.

    Attributes:
        largest: size of all blocks but the last; 1 if a row's position in its block matters.
    """

    def __init__(self, function: Function, noise: Tensor, step: int) -> None:
        """Check whether positions in the largest block matter.

        Args:
            noise: (n, …), n the largest size.
            step: all sizes are multiples of it.
        """
        self._function = function
        self._noise = noise
        self._step = step
        [self.largest] = identical_block_sizes(function, noise, (len(noise),))
        self._identical: dict[int, bool] = {}

    def of(self, rows: int) -> tuple[int, ...]:
        """Return the block sizes for `rows` rows: the largest, and one for the remaining rows."""
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
    """Let torch use one thread for computations that the calling thread starts."""
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
    """Return a pool of started threads, on each of which torch uses one thread.

    Threads that the process makes later use one thread too, until `torch.set_num_threads` is
    called. The calling thread does not change.

    Args:
        threads: number of threads.
        name: name of the threads.
        start: called first in each thread.
    """
    all_started = threading.Barrier(threads)

    def begin() -> None:
        torch.set_num_threads(1)
        start()

    pool = ThreadPoolExecutor(threads, name, initializer=begin)
    for started in [pool.submit(all_started.wait) for _ in range(threads)]:
        started.result()
    return pool


def usable_threads() -> int:
    """Return how many passes may run in parallel.

    This is the number of cores that affinity and the control group allow the process, or torch's
    number of threads on the calling thread (`OMP_NUM_THREADS`) if that is lower.
    """
    return max(1, min(available_threads(), torch.get_num_threads()))
