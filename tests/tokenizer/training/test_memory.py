"""A training keeps the memory that its steps free for a few steps."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="GNU's C library alone is told"
)
BEGIN = """
import resource, torch
from tokenizer.training.memory import STEPS, freed_memory_kept

torch.set_num_threads(1)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def returned():
    block = torch.ones(2**24)
    held = resident()
    del block
    return held - resident()

"""
KEPT = """
print(returned())
with freed_memory_kept():
    print(returned())
    held = resident()
print(held - resident())
print(returned())
"""
CUT_UP = """
weight = torch.nn.Parameter(torch.zeros(1))
weight.grad = torch.zeros(1)
optimizer = torch.optim.SGD([weight])
with freed_memory_kept():
    blocks = [torch.ones(2**20) for _ in range(64)]
    del blocks[::2]
    held = resident()
    for _ in range(STEPS - 1):
        optimizer.step()
    print(held - resident())
    optimizer.step()
    print(held - resident())
"""


def _told(code: str) -> list[int]:
    command = [sys.executable, "-c", BEGIN + code]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def test_freed_memory_stays_until_the_end() -> None:
    """64 MiB that are freed stay; at the end they go to the system, and so do later ones."""
    before, kept, at_the_end, after = _told(KEPT)
    assert before > 48 * 2**20
    assert kept < 16 * 2**20
    assert at_the_end > 48 * 2**20
    assert after > 48 * 2**20


def test_what_lies_free_between_blocks_is_returned_every_few_steps() -> None:
    """Every other one of 64 blocks of 4 MiB is freed, and returned with the tenth step."""
    early, late = _told(CUT_UP)
    assert early < 16 * 2**20
    assert late > 96 * 2**20
