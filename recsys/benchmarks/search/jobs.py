"""A cell of a search benchmark, or the fitting of a tokenizer, in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import InputError
from recsys.benchmarks.amazon import tokenizer_name
from recsys.benchmarks.cells import Cell
from recsys.benchmarks.search.cells import run_cell
from recsys.benchmarks.search.coding import coded
from recsys.search.data.dataset import SearchDataset
from recsys.search.fit import configured
from recsys.search.presets import preset_named
from tokenizer.config import FitConfig

__all__ = ["Job", "run_job"]


@dataclass(frozen=True)
class Job:
    """A cell, or the fitting of a tokenizer where there is no cell.

    Attributes:
        epochs: the most of a training; 0 for the preset's.
    """

    dataset: Path
    out: Path
    preset: str
    epochs: int
    device: str
    config: FitConfig | None
    cell: Cell | None


def run_job(job: Job) -> str:
    """Run a job, and return a line on its result; a fault of one job stops no other."""
    name = job.cell.name if job.cell is not None else "tokenizer"
    try:
        dataset, entry = SearchDataset.load(job.dataset), {}
        if job.config is not None:
            folder = f"{tokenizer_name(job.config)}-{job.dataset.stem}"
            dataset, found = coded(dataset, job.config, job.out / "tokenizers" / folder, job.device)
            entry = {"tokenizer": found}
            if job.cell is None:
                return f"tokenizer {folder}: {found['training_seconds']} s"
        assert job.cell is not None
        options = {"epochs": job.epochs} if job.epochs else {}
        preset = configured(preset_named(job.preset), 0, options)
        record = run_cell(job.out, job.cell, preset, dataset, None, entry, job.device)
    except (InputError, FloatingPointError, RuntimeError) as error:
        return f"semid: {name} failed: {error}"
    shown = record["metrics"]["all"]
    return f"{name}: R@50 {shown['recall@50']:.4f} R@10 {shown['recall@10']:.4f}"
