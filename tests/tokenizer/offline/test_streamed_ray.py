"""Streamed IDs on a real Ray: the same as here, also when Ray's workers are killed."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
from numpy.typing import NDArray

from data_prep.errors import InputError
from data_prep.parts.engines import engine
from data_prep.parts.items import ItemParts
from data_prep.parts.table import Parts
from tokenizer.offline.coding_worker import CoderOptions
from tokenizer.offline.streamed import tokenize_parts
from tokenizer.pipeline import Pipeline

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """Start Ray with two processors, and stop it."""
    import ray

    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def catalogue(
    items: pl.DataFrame, vectors: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("items")
    dtype = pl.Array(pl.Float32, vectors.shape[1])
    rows = pl.DataFrame([items["item_id"], pl.Series("vector", vectors, dtype=dtype)])
    rows.write_parquet(folder / "0.parquet", row_group_size=50)
    return folder


def _options(folder: Path, tokenizer: Path) -> CoderOptions:
    return CoderOptions(ItemParts(Parts.of(str(folder)), None), tokenizer, "cpu", None, 50)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _kill_workers(until: threading.Event, killed: list[int]) -> None:
    """Kill two processes that hold a worker, each as soon as it is there."""
    while not until.is_set() and len(killed) < 2:
        for process in psutil.Process().children(recursive=True):
            try:
                named = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if "MapWorker" in named and process.pid not in killed:
                time.sleep(0.3)
                os.kill(process.pid, signal.SIGKILL)
                killed.append(process.pid)
                break
        time.sleep(0.05)


@pytest.mark.usefixtures("ray_here")
def test_ray_gives_the_same_bytes_also_when_workers_are_killed(
    tmp_path: Path, catalogue: Path, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    options = _options(catalogue, tokenizer_folder)
    here = engine("local", 0, "cpu")
    tokenize_parts(options, pipeline, tmp_path / "here", here, 100)
    end, killed = threading.Event(), list[int]()
    killer = threading.Thread(target=_kill_workers, args=(end, killed))
    killer.start()
    try:
        made = tokenize_parts(options, pipeline, tmp_path / "ray", engine("ray", 2, "cpu"), 100)
    finally:
        end.set()
        killer.join()
    assert made.new == 600
    assert len(killed) == 2
    assert _bytes(tmp_path / "ray") == _bytes(tmp_path / "here")


@pytest.mark.usefixtures("ray_here")
def test_bad_input_on_a_worker_is_told_as_here(
    tmp_path: Path, items: pl.DataFrame, pipeline: Pipeline, tokenizer_folder: Path
) -> None:
    lacking = items.with_columns(
        title=pl.when(pl.col("item_id") == "D00007").then(None).otherwise("title"),
        brand=None, description=None, categories=None,
    )  # fmt: skip
    lacking.write_parquet(tmp_path / "items.parquet")
    options = _options(tmp_path / "items.parquet", tokenizer_folder)
    with pytest.raises(InputError, match=r"no text in any of .*D00007"):
        tokenize_parts(options, pipeline, tmp_path / "ids", engine("ray", 1, "cpu"), 600)
