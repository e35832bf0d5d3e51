"""Threads: as many as the process may use, and none that spins for long."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.threads import available_threads

SHOW = (
    "import json, os\n"
    "from data_prep.threads import use_threads\n"
    "use_threads({count})\n"
    "import torch, faiss\n"
    "print(json.dumps([os.environ.get(name) for name in ('GOMP_SPINCOUNT', 'OMP_NUM_THREADS')]\n"
    "    + [torch.get_num_threads(), faiss.omp_get_max_threads()]))\n"
)
SET = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def _shown(count: int, **environment: str) -> list[object]:
    """Return what a process of its own sees after `use_threads`."""
    clean = {name: value for name, value in os.environ.items() if name not in SET}
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(count=count)],
        env=clean | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown: list[object] = json.loads(done.stdout)
    return shown


def test_libraries_take_the_count_and_the_users_own_setting_wins() -> None:
    assert _shown(1) == ["10000", "1", 1, 1]
    assert _shown(0, OMP_NUM_THREADS="1", GOMP_SPINCOUNT="7") == ["7", "1", 1, 1]
    assert _shown(1, OMP_WAIT_POLICY="passive")[0] is None


def _groups(folder: Path, process: str, files: dict[str, str]) -> int:
    (folder / "cgroup").write_text(process)
    for name, text in files.items():
        place = folder / "fs" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return available_threads(folder / "cgroup", folder / "fs")


@pytest.mark.parametrize(
    ("process", "files", "threads"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "350000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),
        (
            "3:cpu,cpuacct:/d\n2:memory:/d\n",
            {
                "cpu,cpuacct/d/cpu.cfs_quota_us": "400000",
                "cpu,cpuacct/d/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            "3:cpu:/host/d\n",
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ("", {}, 64),
    ],
)
def test_a_containers_quota_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    process: str,
    files: dict[str, str],
    threads: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert _groups(tmp_path, process, files) == threads
