"""Other processors, seen from this one: what the libraries compute with is capped by environment.

`python -m tests.instruction_sets` runs the whole test suite under each cap in a row.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

__all__ = ["CAPS", "capped"]

# Torch's own kernels, MKL, oneDNN, FAISS, and NumPy's OpenBLAS.
CAPS: dict[str, dict[str, str]] = {
    "none": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "FAISS_OPT_LEVEL": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "FAISS_OPT_LEVEL": "generic",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}


def capped(cap: str, threads: int | None = None) -> dict[str, str]:
    """Return this process's environment under a cap, with so many threads of OpenMP."""
    names = {name for cap_of in CAPS.values() for name in cap_of}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    counted = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    return kept | CAPS[cap] | counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run pytest under each cap, with one thread and with two; print what failed where."""
    parser = argparse.ArgumentParser(prog="python -m tests.instruction_sets", description=__doc__)
    parser.add_argument("pytest", nargs="*", help="what pytest is given, such as tests/data_prep")
    chosen = parser.parse_args(arguments).pytest
    failed = []
    for cap in CAPS:
        for threads in (1, 2):
            print(f"== {cap}, OMP_NUM_THREADS={threads}", flush=True)
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-n2",
                "--dist=loadfile",
                "--no-loadscope-reorder",
                *chosen,
            ]
            if subprocess.run(command, env=capped(cap, threads), check=False).returncode:
                failed.append(f"{cap} with {threads}")
    print(f"failed under: {', '.join(failed)}" if failed else "green under every cap")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
