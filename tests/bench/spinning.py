"""`fit` alone and beside two busy processes, by how long threads that wait may spin."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.demo import demo_items

__all__ = ["spinning"]

STEPS, REPEATS, BUSY = 300, 2, 2
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# What semid would have without its own bound, its own, and what never spins.
SETTINGS: dict[str, dict[str, str]] = {
    "library default": {"GOMP_SPINCOUNT": "300000"},
    "semid": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}


def spinning() -> list[dict[str, Any]]:
    """Measure the seconds of `semid fit` of the demo with `hashing`, settings in turns."""
    seconds: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "items.parquet"
        demo_items().write_parquet(catalogue)
        for busy in (0, BUSY):
            with _busy(busy):
                for turn in range(REPEATS):
                    for name, setting in SETTINGS.items():
                        out = Path(folder) / f"{name}-{busy}-{turn}".replace(" ", "-")
                        took = _fit(catalogue, out, setting)
                        seconds.setdefault((name, busy), []).append(took)
    return [
        {
            f"{name}, beside {busy} busy processes: seconds": statistics.median(taken),
            f"{name}, beside {busy} busy processes: least": min(taken),
            f"{name}, beside {busy} busy processes: most": max(taken),
        }
        for (name, busy), taken in seconds.items()
    ]


def _fit(catalogue: Path, out: Path, setting: dict[str, str]) -> float:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    command: list[str | Path] = [
        *(sys.executable, "-m", "service.cli", "fit", catalogue, "--out", out),
        *("--encoder", "hashing", "--steps", str(STEPS), "--no-baseline"),
    ]
    started = time.perf_counter()
    subprocess.run(
        command, env=clean | setting, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep so many processes computing while the block runs."""
    program = "while True: sum(range(100_000))"
    processes = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
