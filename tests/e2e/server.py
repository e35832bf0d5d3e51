"""A real `semid serve` process on a free port."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

__all__ = ["SEMID", "metric", "resident_bytes", "run_semid", "serving", "started_address"]

STARTED = re.compile(r"semid answers at ((?:http|unix):[^\s\"]+)")
SEMID = [sys.executable, "-m", "service.cli"]


def run_semid(*arguments: object) -> str:
    """Run a command to its end and return its standard output."""
    done = subprocess.run(
        [*SEMID, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(log: Path, *arguments: object) -> Iterator[str]:
    """Start `semid serve`, yield its address once it answers, and stop it in order."""
    command = [*SEMID, "serve", "--port", "0", *map(str, arguments)]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield started_address(log, process)
    finally:
        process.terminate()
        status = process.wait(30)
    assert not status, log.read_text()
    assert "Traceback" not in log.read_text()


def started_address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the service's log names its address, and return the address."""
    for _ in range(1200):
        if found := STARTED.search(log.read_text()):
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def metric(metrics: str, name: str) -> str:
    """Return the value of a metric, with its labels in the name, from Prometheus's text."""
    [line] = [line for line in metrics.splitlines() if line.startswith(f"{name} ")]
    return line.rpartition(" ")[2]


def resident_bytes(address: str) -> float:
    """Return the memory of the service's process."""
    metrics = httpx.get(f"{address}/metrics", timeout=60).text
    return float(metric(metrics, "process_resident_memory_bytes"))
