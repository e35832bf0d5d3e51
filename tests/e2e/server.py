"""A real `semid serve` process on a free port."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["run_semid", "serving"]

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
    """Start `semid serve`, yield its address once it answers, and stop it."""
    command = [*SEMID, "serve", "--port", "0", *map(str, arguments)]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        for _ in range(1200):
            if found := STARTED.search(log.read_text()):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text())
        yield found[1]
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text()
