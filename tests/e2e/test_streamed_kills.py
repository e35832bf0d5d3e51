"""`semid tokenize` to a folder, killed at random moments, ends in the same bytes."""

import random
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.e2e.server import SEMID, run_semid

ROWS, PART = 60_000, 2000


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a catalogue of vectors and a tokenizer; many items share codes."""
    folder = tmp_path_factory.mktemp("kills")
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((ROWS, 32)).astype(np.float32)
    vectors[ROWS // 2 :] = vectors[: ROWS // 2]
    dtype = pl.Array(pl.Float32, 32)
    rows = pl.DataFrame(
        {"item_id": [f"i{row}" for row in range(ROWS)], "vector": pl.Series(vectors, dtype=dtype)}
    )
    (folder / "items").mkdir()
    for number in range(3):
        rows.slice(number * ROWS // 3, ROWS // 3).write_parquet(
            folder / "items" / f"{number}.parquet", row_group_size=PART
        )
    run_semid(
        "fit", folder / "items", "--vectors", folder / "items", "--out", folder / "tokenizer",
        "--sample", 2000, "--steps", 20, "--warmup-steps", 5, "--codebook-size", 16,
        "--levels", 3, "--no-baseline",
    )  # fmt: skip
    return folder


def _command(folder: Path, out: Path, *more: object) -> list[str]:
    return [
        *SEMID, "tokenize", str(folder / "items"), "--tokenizer", str(folder / "tokenizer"),
        "--out", str(out), "--part-rows", str(PART), "--threads", "1", "--quiet",
        *map(str, more),
    ]  # fmt: skip


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _kill_again_and_again(
    folder: Path, out: Path, kills: int, longest: float, *more: object
) -> None:
    """Kill the command so many times, each after a random time of its work; then let it end.

    A run that ends before it is killed is looked at, and begun anew.
    """
    chosen, killed = random.Random(0), 0
    while killed < kills:
        process = subprocess.Popen(_command(folder, out, *more), start_new_session=True)
        # Only time after the start of Python and torch is worth a kill.
        until = time.monotonic() + 120
        while process.poll() is None and not (out / ".run").exists() and time.monotonic() < until:
            time.sleep(0.01)
        try:
            process.wait(chosen.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        else:
            assert process.returncode == 0
            assert _bytes(out) == _straight(folder)
            shutil.rmtree(out)
    assert subprocess.run(_command(folder, out, *more), check=False).returncode == 0
    assert _bytes(out) == _straight(folder)


def _straight(folder: Path) -> dict[str, bytes]:
    out = folder / "straight"
    if not out.exists():
        assert subprocess.run(_command(folder, out), check=False).returncode == 0
    return _bytes(out)


def test_a_run_killed_twice_ends_in_the_same_bytes(fitted: Path) -> None:
    _kill_again_and_again(fitted, fitted / "short", 2, 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), ("--workers", 2), ("--engine", "ray", "--workers", 2)])
def test_a_run_killed_twenty_times_ends_in_the_same_bytes(
    fitted: Path, more: tuple[object, ...]
) -> None:
    """Also runs on several processes and on Ray, whose processes end with the command."""
    out = fitted / "-".join(["killed", *(str(each).strip("-") for each in more)])
    _kill_again_and_again(fitted, out, 20, 3.0, *more)
