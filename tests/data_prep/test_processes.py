"""Worker processes: as many threads as asked for, and an end with the process that made them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.processes import worker_processes

MAKER = """
import os, sys, time
from pathlib import Path
from data_prep.processes import worker_processes

def wait(path):
    Path(path).touch()
    time.sleep(3600)

if __name__ == "__main__":
    with worker_processes(2) as workers:
        for name in sys.argv[1:]:
            workers.submit(wait, name)
        if len(sys.argv) == 2:
            workers.submit(os.getpid).result()  # the second worker has come, and waits for work
        while not all(Path(name).exists() for name in sys.argv[1:]):
            time.sleep(0.05)
        print("made", flush=True)
        time.sleep(3600)
"""


@pytest.mark.parametrize("busy", [1, 2])
def test_workers_busy_or_idle_end_when_their_maker_is_killed(tmp_path: Path, busy: int) -> None:
    maker = tmp_path / "maker.py"
    maker.write_text(MAKER)
    names = [str(tmp_path / f"worker{number}") for number in range(busy)]
    with subprocess.Popen(
        [sys.executable, str(maker), *names], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        process.kill()
        # The workers have the same standard output: it ends once the last of them has ended.
        rest, _ = process.communicate(timeout=60)
    assert not rest


def _threads(name: str) -> str | None:
    return os.environ.get(name)


def _begin(name: str, value: str) -> None:
    os.environ[name] = value


def test_workers_have_their_threads_and_begin_before_their_work() -> None:
    with worker_processes(1, 3, _begin, "SEMID_TEST_BEGUN", "yes") as workers:
        assert workers.submit(_threads, "OMP_NUM_THREADS").result() == "3"
        assert workers.submit(_threads, "SEMID_TEST_BEGUN").result() == "yes"
