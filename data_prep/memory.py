"""Freed memory that stays with the process while something trains.

GNU's allocator returns large blocks to the system as soon as they are freed. A training step frees
what the next step asks for again, and the system then has to clear every page anew, which took a
seventh of a recommender's training on a CPU.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["freed_memory_kept"]

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt
ALL = 2**31 - 1
# What the allocator itself would come to with large blocks, in bytes.
USUAL = {MMAP_THRESHOLD: 32 * 2**20, TRIM_THRESHOLD: 64 * 2**20}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory until the end, then return it; do nothing without GNU's C library."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    allocator = ctypes.CDLL(None)
    for parameter in USUAL:
        allocator.mallopt(parameter, ALL)
    try:
        yield
    finally:
        for parameter, usual in USUAL.items():
            allocator.mallopt(parameter, usual)
        allocator.malloc_trim(0)
