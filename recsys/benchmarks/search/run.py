"""A whole search benchmark: tokenizers and cells. Results of an earlier run are reused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.benchmarks.amazon import tokenizer_name
from recsys.benchmarks.folder import NOTES
from recsys.benchmarks.run import Reporter
from recsys.benchmarks.search.cells import run_cell
from recsys.benchmarks.search.coding import coded
from recsys.benchmarks.search.plan import SearchPlan, cells_of
from recsys.benchmarks.search.sources import SearchSource
from recsys.search.data.dataset import SearchDataset
from recsys.search.training import Measured
from tokenizer.config import FitConfig

__all__ = ["run_search_plan"]


def run_search_plan(
    plan: SearchPlan,
    folder: Path,
    sources: Sequence[SearchSource],
    reporter: Reporter,
    *,
    train: bool = True,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the records of all cells, and the notes on the data.

    Args:
        folder: receives datasets/ (for `python -m recsys.benchmarks.search`), tokenizers/,
            records/, requests/ and lists/.
        train: False writes the data sets and the records of what needs no training.

    Raises:
        InputError: data or configurations that cannot be used.
    """
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    notes = {source.name: dict(source.notes) for source in sources}
    (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n")
    records = []
    for source in sources:
        if not train:
            # Half precision, so that files travel; `load` gives float32.
            source.dataset.save(folder / "datasets" / f"{source.name}.safetensors", half=True)
        plain = source.dataset
        held: dict[str, tuple[SearchDataset, dict[str, Any]]] = {"": (plain, {})}
        for cell, config in cells_of(plan, source.name, train=train):
            if cell.tokenizer not in held and config is not None:
                held = {"": (plain, {})}  # one tokenizer's codes at a time
                held[cell.tokenizer] = _coded(plan, config, source, folder, reporter)
            dataset, entry = held[cell.tokenizer]
            reporter.begins(cell.name)
            progress, own = _progress(reporter), source.texts
            record = run_cell(folder, cell, plan.preset, dataset, own, entry, plan.device, progress)
            records.append(record)
            reporter.ends()
    return records, notes


def _coded(
    plan: SearchPlan, config: FitConfig, source: SearchSource, folder: Path, reporter: Reporter
) -> tuple[SearchDataset, dict[str, Any]]:
    name = tokenizer_name(config)
    reporter.begins(f"tokenizer {name}")
    found, entry = coded(
        source.dataset,
        replace(config, seed=0),
        folder / "tokenizers" / f"{name}-{source.name}",
        plan.device,
        lambda step, measured: reporter.goes_on(step, config.steps, ""),
    )
    return found, {"tokenizer": entry}


def _progress(reporter: Reporter) -> Callable[[int, int, Measured | None], None]:
    def report(step: int, total: int, measured: Measured | None) -> None:
        note = ""
        if measured is not None:
            figure = measured.validation.get("recall@50", 0.0)
            note = f"epoch {measured.epoch}, validation R@50 {figure:.4f}"
        reporter.goes_on(step, total, note)

    return report
