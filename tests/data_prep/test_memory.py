"""A training keeps the memory that its steps free, and returns it at its end."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from data_prep.memory import freed_memory_kept

torch.set_num_threads(1)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
with freed_memory_kept():
    faults()
    print(faults())
    held = resident()
print(held - resident())
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="GNU's C library alone is told")
def test_freed_memory_is_asked_for_once() -> None:
    """64 MiB that are freed and taken anew cost no new pages; afterwards they do as before."""
    told = subprocess.run([sys.executable, "-c", COUNT], check=True, capture_output=True, text=True)
    before, kept, returned, after = map(int, told.stdout.split())
    assert kept < before / 20
    assert returned > 48 * 2**20
    assert after > before / 2
