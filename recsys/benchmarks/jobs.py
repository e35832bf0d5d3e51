"""Cells of a benchmark side by side, each in a separate process, from prepared files.

This module needs torch, numpy and safetensors alone.
"""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from data_prep.errors import InputError
from data_prep.processes import worker_processes
from recsys.benchmarks.cells import Cell, run_cell
from recsys.benchmarks.choices import Choices, run_trial
from recsys.data.dataset import SequenceDataset
from recsys.models.baselines import BASELINES
from recsys.presets import preset_named
from recsys.training.loop import Measurement

__all__ = ["Job", "run_jobs"]


@dataclass(frozen=True)
class Job:
    """A cell or a trial of a search, and what a process needs to run it.

    Attributes:
        dataset: the prepared file.
        options: of a trial, what differs from the preset; None for a cell.
        choices: of a cell, the file with the options that searches chose; None for the preset's.
        checkpoints: whether a cell's training keeps checkpoints.
    """

    cell: Cell
    dataset: Path
    preset: str
    out: Path
    device: str
    options: dict[str, float] | None = None
    choices: Path | None = None
    checkpoints: bool = True

    @property
    def name(self) -> str:
        """The name of the job in reports."""
        given = "".join(f" {name}={value:g}" for name, value in (self.options or {}).items())
        return self.cell.name + given


def run_jobs(
    jobs: Sequence[Job], side_by_side: int = 1, threads: int = 0, until: float = math.inf
) -> Iterator[tuple[Job, dict[str, Any] | None]]:
    """Run jobs in their order, and yield each with its record, or None where it failed.

    A failed job and each measurement of a training are told on stderr; a failure stops no other
    job. Records that are there already count.

    Args:
        side_by_side: how many processes; 1 runs the jobs in this one.
        threads: of each process.
        until: no further job begins when `time.monotonic()` is past this.
    """
    waiting = list(reversed(jobs))
    if side_by_side == 1:
        while waiting and time.monotonic() < until:
            job = waiting.pop()
            yield job, _run(job)
        return
    with worker_processes(side_by_side, threads or 1) as pool:
        running: dict[Future[dict[str, Any] | None], Job] = {}
        while True:
            while waiting and len(running) < side_by_side and time.monotonic() < until:
                job = waiting.pop()
                running[pool.submit(_run, job)] = job
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()


def _run(job: Job) -> dict[str, Any] | None:
    """Return a job's record; tell an error that is of this job alone, and return None."""
    try:
        dataset, notes = _loaded(job.dataset)
        preset = preset_named(job.preset)
        if job.options is not None:
            return run_trial(job.out, job.cell, preset, job.options, dataset, job.device)
        if job.choices is not None and job.cell.model not in BASELINES:
            preset = Choices.read(job.choices).applied(preset, job.cell.model)
        return run_cell(
            job.out,
            job.cell,
            preset,
            dataset,
            notes,
            job.device,
            partial(_tell, job.name),
            checkpoints=job.checkpoints,
        )
    except (InputError, FloatingPointError, RuntimeError) as error:
        print(f"semid: {job.name} failed: {error}", file=sys.stderr)  # noqa: T201
        return None


def _tell(name: str, step: int, total: int, measured: Measurement | None) -> None:
    """Tell each measurement of a training on stderr."""
    if measured is not None:
        quality = measured.validation["all"]["ndcg@10"]
        line = f"{name}: epoch {measured.epoch}, step {step:,} of at most {total:,}"
        print(f"{line}, validation N@10 {quality:.4f}", file=sys.stderr, flush=True)  # noqa: T201


@lru_cache(maxsize=4)
def _loaded(path: Path) -> tuple[SequenceDataset, dict[str, Any]]:
    dataset = SequenceDataset.load(path)
    notes = path.with_suffix(".json")
    return dataset, json.loads(notes.read_text()) if notes.is_file() else {}
