"""How many threads compute, and how long idle ones spin; set before torch and faiss load.

An OpenMP thread spins while it waits for the other threads. By default it spins so long that it
takes its core from other processes. `python -m tests.bench spinning` measures it.
"""

import os
import sys
from pathlib import Path

__all__ = ["available_threads", "bound_spinning", "use_threads"]

SPINS = "10000"  # for GNU's OpenMP; its default is 300,000
BLOCK_MS = "1"  # for LLVM's and Intel's OpenMP; their default is 200 ms
# OpenMP (torch, faiss, scikit-learn), NumPy's BLAS, polars and tokenizers read them on loading.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
PROCESS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def bound_spinning() -> None:
    """Limit the spinning of waiting threads; the user's own settings stay.

    Only the environment is set: it reaches child processes, but no library that has loaded OpenMP.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        os.environ.setdefault("KMP_BLOCKTIME", BLOCK_MS)


def use_threads(count: int = 0) -> None:
    """Set the number of computing threads of this process and its children, and limit spinning.

    Args:
        count: 0 for OMP_NUM_THREADS, or as many as the process may use.
    """
    bound_spinning()
    if not count:
        if "OMP_NUM_THREADS" in os.environ:
            return
        count = available_threads()
        if count >= _affine():
            return  # libraries find this number themselves
    for name in THREAD_VARIABLES:
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)
    if "faiss" in sys.modules:
        import faiss

        faiss.omp_set_num_threads(count)


def available_threads(process: Path = PROCESS, cgroups: Path = CGROUPS) -> int:
    """Return how many threads this process may run at once, by affinity and container quota.

    Args:
        process: file that names the process's control groups.
        cgroups: mount point of the groups (version 2) or of the controllers (version 1).
    """
    quotas = _quotas(process, cgroups)
    return max(1, min([_affine(), *(int(quota) for quota in quotas)]))


def _affine() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(process: Path, cgroups: Path) -> list[float]:
    """Return the CPU quotas of the process's control group and of each group above it."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        roots = [cgroups / controllers, cgroups / "cpu"] if controllers else [cgroups]
        for root in roots:
            place = root / path.lstrip("/")
            # A container with its own namespace has the path /; with older ones it is the host's
            # path.
            for folder in (place, *place.parents):
                found.append(_quota(folder))
                if folder == root:
                    break
    return [quota for quota in found if quota is not None]


def _quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            most, period = (folder / "cpu.max").read_text().split()
        else:
            most = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return int(most) / int(period) if most != "max" and int(most) > 0 else None
    except (OSError, ValueError):
        return None
