"""Trainings in two processes on this machine, connected by gloo."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.recsys.training.several_processes import outcome, trained

PROCESSES = 2


def _run(folder: Path, models: str, dropout: float, killed_at: int = 0) -> list[dict[str, Any]]:
    """Return the outcome of each process; nothing if they are killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {
        "WORLD_SIZE": str(PROCESSES),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    program = [sys.executable, "-W", "error", "-m", "tests.recsys.training.several_processes"]
    started = [
        subprocess.Popen(
            [*program, models, str(dropout), str(folder), str(killed_at)],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.DEVNULL if killed_at else None,
        )
        for rank in range(PROCESSES)
    ]
    try:
        codes = [process.wait(timeout=120) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if killed_at:
        assert codes[0] == 3
        return []
    assert codes == [0, 0]
    return [json.loads((folder / f"outcome{rank}.json").read_text()) for rank in range(PROCESSES)]


def test_two_processes_get_the_result_of_one(tmp_path: Path) -> None:
    """Each batch is split in two parts; the first process alone writes files."""
    first, second = _run(tmp_path, "sasrec,tiger", dropout=0.0)
    assert first == second
    for model, found in first.items():
        alone = outcome(trained(model, dropout=0.0, folder=None))
        for theirs, ours in zip(found["curve"], alone["curve"], strict=True):
            assert theirs["train_loss"] == pytest.approx(ours["train_loss"], rel=1e-4)
            for candidates, metrics in ours["validation"].items():
                assert theirs["validation"][candidates] == pytest.approx(metrics, abs=0.02)
        assert found["weights"] == pytest.approx(alone["weights"], abs=1e-3)
        assert sorted(path.name for path in (tmp_path / f"{model}0").iterdir()) == [
            "checkpoint.pt", "metrics.jsonl"
        ]  # fmt: skip
        assert not (tmp_path / f"{model}1").exists()


@pytest.mark.slow
def test_two_processes_resume_where_they_were_stopped(tmp_path: Path) -> None:
    """Stopped in the middle of an epoch, with dropout, which each process draws for itself."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = _run(tmp_path / "whole", "tiger", dropout=0.2)
    _run(tmp_path / "killed", "tiger", dropout=0.2, killed_at=8)
    assert _run(tmp_path / "killed", "tiger", dropout=0.2) == whole
