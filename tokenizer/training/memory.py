"""Freed memory that stays with the process from step to step of a training.

GNU's allocator returns large blocks to the system as soon as they are freed. A training step frees
what the next step asks for again, and the system then has to clear every page anew: a seventh of
the time on real catalogues, nothing on small ones. Blocks that stay are cut up by those of other
sizes: a generator that needs 1 GB came to hold 9 GB. So every `STEPS` steps it is returned.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

__all__ = ["freed_memory_kept"]

STEPS = 10
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of mallopt
ALL = 2**31 - 1
# What the allocator itself would come to with large blocks, in bytes.
USUAL = {MMAP_THRESHOLD: 32 * 2**20, TRIM_THRESHOLD: 64 * 2**20}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory for up to `STEPS` optimizer steps; do nothing without GNU's C library."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    allocator = ctypes.CDLL(None)
    steps = count(1)

    def returned(*_: Any) -> None:
        if not next(steps) % STEPS:
            allocator.malloc_trim(0)

    for parameter in USUAL:
        allocator.mallopt(parameter, ALL)
    hook = register_optimizer_step_post_hook(returned)
    try:
        yield
    finally:
        hook.remove()
        for parameter, usual in USUAL.items():
            allocator.mallopt(parameter, usual)
        allocator.malloc_trim(0)
