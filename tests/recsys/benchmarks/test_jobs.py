import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.benchmarks.cells import CONTENT, Cell, dataset_read
from recsys.benchmarks.jobs import Job, run_jobs
from recsys.data.dataset import SequenceDataset
from recsys.presets import preset_named

SMOKE = preset_named("smoke")


@pytest.fixture(scope="module")
def files(dataset: SequenceDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a prepared file for each kind of model."""
    folder = tmp_path_factory.mktemp("data")
    books = np.random.default_rng(0).normal(size=(3, 16, 8)).astype(np.float32)
    codes = np.random.default_rng(0).permutation(16**3)[:300]
    coded = replace(
        dataset,
        vectors=None,
        codebooks=books,
        codes=np.stack([codes // 256, codes // 16 % 16, codes % 16], 1).astype(np.uint16),
    )
    kinds = {
        "": replace(dataset.without_codes(), vectors=None),
        CONTENT: dataset.without_codes(),
        "grit-3x16": coded,
        "dense": dataset.with_dense_codes(),
    }
    paths = {kind: folder / f"D-{kind or 'bare'}.safetensors" for kind in kinds}
    for kind, data in kinds.items():
        data.save(paths[kind])
    return paths


def _jobs(files: dict[str, Path], out: Path, *cells: tuple[str, str]) -> list[Job]:
    return [
        Job(
            Cell("D", model, tokenizer),
            files[dataset_read(SMOKE, model, tokenizer)],
            "smoke",
            out,
            "cpu",
        )
        for model, tokenizer in cells
    ]


def test_jobs_side_by_side_leave_the_records_of_one_after_the_other(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cells = (("nearest-content", ""), ("nearest-decoded", "grit-3x16"), ("generator", "dense"))
    found = []
    for side_by_side in (1, 2):
        out = tmp_path / str(side_by_side)
        jobs = _jobs(files, out, *cells)
        records = {job.cell.name: record for job, record in run_jobs(jobs, side_by_side, 1)}
        assert len(records) == 3
        for name, record in records.items():
            assert record is not None
            assert json.loads((out / "records" / f"{name}.json").read_text()) == record
        lines = capfd.readouterr().err.splitlines()
        measured = records["D-generator-dense-seed0"]
        assert measured is not None
        assert len(lines) == measured["epochs"]
        assert lines[0].startswith("D-generator-dense-seed0: epoch 1, step ")
        found.append({name: record["metrics"] for name, record in records.items() if record})
    assert found[0] == found[1]


def test_a_failed_job_stops_no_other(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = _jobs(files, tmp_path, ("nearest-decoded", "dense"), ("popularity", ""))
    failed, done = run_jobs(jobs)
    assert failed[1] is None
    assert done[1] is not None
    assert (
        "D-nearest-decoded-dense-seed0 failed: the data has no codewords" in capfd.readouterr().err
    )


def test_no_job_begins_after_the_end(files: dict[str, Path], tmp_path: Path) -> None:
    jobs = _jobs(files, tmp_path, ("popularity", ""))
    for side_by_side in (1, 2):
        assert not list(run_jobs(jobs, side_by_side, until=-math.inf))


def test_a_search_measures_validation_alone_and_is_kept(
    files: dict[str, Path], tmp_path: Path
) -> None:
    options = {"learning_rate": 1e-3, "dropout": 0.1}
    [job] = _jobs(files, tmp_path, ("sasrec", ""))
    [(_, record)] = run_jobs([replace(job, options=options)])
    assert record is not None
    assert "metrics" not in record
    [kept] = (tmp_path / "search").iterdir()
    written = kept.stat().st_mtime_ns
    [(_, again)] = run_jobs([replace(job, options=options)])
    assert again == record
    assert kept.stat().st_mtime_ns == written
