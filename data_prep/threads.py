"""How many threads compute, and how long those that wait may spin: set before torch and faiss load.

A thread of OpenMP that waits for the others spins, by default for so long that where other
processes want its core it takes it from them. `python -m tests.bench spinning` measures it.
"""

import os
import sys
from pathlib import Path

__all__ = ["available_threads", "bound_spinning", "use_threads"]

SPINS = "10000"  # of GNU's OpenMP, whose default is 300,000
BLOCK_MS = "1"  # of LLVM's and Intel's OpenMP, whose default is 200 ms
# What OpenMP (torch, faiss, scikit-learn), NumPy's BLAS, polars and tokenizers read when they load.
COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
PROCESS, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def bound_spinning() -> None:
    """Bound the spinning of threads that wait; a setting of the user's own stays.

    Environment alone: what has loaded OpenMP before is not changed, and child processes inherit it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
        os.environ.setdefault("KMP_BLOCKTIME", BLOCK_MS)


def use_threads(count: int = 0) -> None:
    """Let so many threads compute, in this process and its children, and bound their spinning.

    Args:
        count: 0 for as many as the process may use, or as OMP_NUM_THREADS says.
    """
    bound_spinning()
    if not count:
        if "OMP_NUM_THREADS" in os.environ:
            return
        count = available_threads()
        if count >= _affine():
            return  # libraries count the cores of the affinity themselves
    for name in COUNTS:
        os.environ[name] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)
    if "faiss" in sys.modules:
        import faiss

        faiss.omp_set_num_threads(count)


def available_threads(process: Path = PROCESS, cgroups: Path = CGROUPS) -> int:
    """Return how many threads this process may run at once: by affinity and its container's quota.

    Args:
        process: names the process's groups.
        cgroups: where the groups of version 2, or the controllers of version 1, are mounted.
    """
    quotas = _quotas(process, cgroups)
    return max(1, min([_affine(), *(int(quota) for quota in quotas)]))


def _affine() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(process: Path, cgroups: Path) -> list[float]:
    """Return the CPUs that the process's group and each group above it allow."""
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
            # In a container's own namespace the path is / or, of older ones, that of the host.
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
