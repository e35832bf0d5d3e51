"""Training, encoding and serving, alone and beside busy processes, by how long threads may spin."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.demo import demo_items
from tests.bench.load import put_under_load
from tests.bench.serving import requests_of, small_service

__all__ = ["spinning"]

STEPS, TEXTS, REPEATS, BUSY = 60, 300, 2, 2
SECONDS, CLIENTS = 4.0, 64
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# What semid would have without its own bound, its own, and what never spins.
SETTINGS: dict[str, dict[str, str]] = {
    "library default": {"GOMP_SPINCOUNT": "300000"},
    "semid": {},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}


def spinning() -> list[dict[str, Any]]:
    """Measure `semid fit`, `semid embed` and texts over HTTP on the demo, settings in turns."""
    measures: dict[str, Callable[[Path, dict[str, str]], float]] = {
        "fit, seconds": _fit,
        "embed, texts/s": _embed,
        "service, texts/s": _serve,
    }
    taken: dict[tuple[str, str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "items.parquet"
        demo_items(TEXTS).write_parquet(catalogue)
        for busy in (0, BUSY):
            with _busy(busy):
                for _ in range(REPEATS):
                    for what, measure in measures.items():
                        for name, setting in SETTINGS.items():
                            found = measure(catalogue, setting)
                            taken.setdefault((what, name, busy), []).append(found)
    return [
        {
            f"{what}, {name}, beside {busy} busy processes: median": statistics.median(each),
            f"{what}, {name}, beside {busy} busy processes: least": min(each),
            f"{what}, {name}, beside {busy} busy processes: most": max(each),
        }
        for (what, name, busy), each in taken.items()
    ]


def _fit(catalogue: Path, setting: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _seconds(
            setting, "fit", catalogue, "--out", Path(folder) / "tokenizer",
            *("--encoder", "hashing", "--steps", str(STEPS), "--no-baseline"),
        )  # fmt: skip


def _embed(catalogue: Path, setting: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out, cache = Path(folder) / "vectors.parquet", Path(folder) / "cache"
        return TEXTS / _seconds(setting, "embed", catalogue, "--out", out, "--cache", cache)


def _serve(_: Path, setting: dict[str, str]) -> float:
    """Return the texts a second of one service, texts one by one from many clients."""
    own = {name: value for name, value in os.environ.items() if name in NAMES}
    try:
        for name in own:
            del os.environ[name]
        os.environ.update(setting)
        with small_service() as (address, texts):
            load = put_under_load(
                address, *requests_of(texts)["text"].arguments(0), seconds=SECONDS, clients=CLIENTS
            )
    finally:
        for name in setting:
            os.environ.pop(name, None)
        os.environ.update(own)
    if set(load.statuses) != {200}:
        raise RuntimeError(f"answers by status: {load.statuses}")
    return load.rate


def _seconds(setting: dict[str, str], *command: str | Path) -> float:
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "service.cli", *command], env=clean | setting, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
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
