"""A whole benchmark: data, tokenizers and cells. Results of an earlier run are reused."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.readers.amazon import read_category
from data_prep.text import TextTemplate
from recsys.benchmarks.amazon import (
    Category,
    Reader,
    dataset_of,
    prepare_category,
    tokenized,
    tokenizer_name,
)
from recsys.benchmarks.cells import CONTENT, Cell, dataset_read, run_cell
from recsys.benchmarks.choices import finalists
from recsys.benchmarks.folder import NOTES
from recsys.data.dataset import SequenceDataset
from recsys.models.baselines import BASELINES, CODED_BASELINES
from recsys.presets import Preset
from recsys.training.loop import Measurement
from tokenizer.config import FitConfig

__all__ = ["DENSE", "Plan", "Reporter", "run_plan"]

DENSE = "dense"  # the tokenizer that gives each item one code
# By category and tokenizer (empty for none): the dataset, and its entries for records.
Datasets = dict[tuple[str, str], tuple[SequenceDataset, dict[str, Any]]]


class Reporter(Protocol):
    """Reports the progress of a run to the user."""

    def begins(self, what: str) -> None:
        """Report that a piece of work begins, such as a tokenizer or a cell."""

    def goes_on(self, step: int, total: int, note: str) -> None:
        """Report how far it is; the note is empty or a figure."""

    def ends(self) -> None:
        """Report that a cell is done."""


@dataclass(frozen=True)
class Plan:
    """What a benchmark measures.

    Attributes:
        categories: by name, the files that `read` takes: of reviews and of metadata.
        models: names of the preset's models; baselines are always measured.
        tokenizers: one configuration each; all are fitted with seed 0.
        seeds: how many trainings of each model, with the seeds 0, 1, …
        shared: whether all categories share one tokenizer; else each category has its own.
        cold: shares of the items to hold out of training; each share has its own cells, 0 is none.
        dense: whether there is also a tokenizer `dense`, with one code an item.
        read: what reads the files of a category.
    """

    preset: Preset
    categories: Mapping[str, tuple[Path, ...]]
    models: tuple[str, ...]
    tokenizers: tuple[FitConfig, ...]
    seeds: int = 1
    shared: bool = True
    cold: tuple[float, ...] = (0.0,)
    device: str = "cpu"
    dense: bool = False
    read: Reader = read_category

    @property
    def cells(self) -> list[Cell]:
        """All cells, grouped by category."""
        known = self.preset.models
        bare = [name for name in BASELINES if name not in CODED_BASELINES]
        bare += [name for name in self.models if not known[name].quantized]
        coded = [*CODED_BASELINES, *(name for name in self.models if known[name].quantized)]
        rows = [("", name) for name in bare]
        rows += [(tokenizer_name(each), name) for each in self.tokenizers for name in coded]
        rows += [(DENSE, name) for name in coded if self.dense and name not in CODED_BASELINES]
        return [
            Cell(category, model, tokenizer, seed, cold)
            for category in self.categories
            for tokenizer, model in rows
            for cold in self.cold
            for seed in range(1 if model in BASELINES else self.seeds)
        ]

    def goes_on(self, cell: Cell, records: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether a cell is run: one with a further seed only if it is among the finalists.

        Args:
            records: of the cells with the first seed.
        """
        if not (cell.seed and cell.tokenizer and self.preset.finalists):
            return True
        first = [
            record
            for record in records
            if (record["cell"]["model"], record["cell"]["cold"]) == (cell.model, cell.cold)
        ]
        return cell.tokenizer in finalists(first, self.preset.finalists)


def run_plan(
    plan: Plan,
    folder: Path,
    template: TextTemplate,
    encoder: Encoder,
    embedded: Callable[[list[str]], NDArray[np.float32]],
    reporter: Reporter,
    *,
    train: bool = True,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the records of all cells, and the notes on each category.

    Args:
        folder: receives tables/, tokenizers/, datasets/ (for `python -m recsys.benchmarks`),
            training/, records/ and ranks/.
        embedded: texts → vectors (n, D).
        train: False prepares the datasets and returns no records.

    Raises:
        InputError: data or configurations that cannot be used.
    """
    categories = []
    for name, files in plan.categories.items():
        reporter.begins(f"reading {name}")
        tables = folder / "tables" / name
        categories.append(prepare_category(name, files, tables, embedded, template, plan.read))
    datasets: Datasets = {}
    for each in categories:
        bare = dataset_of(each)
        datasets[each.name, ""] = (bare, {})
        datasets[each.name, CONTENT] = (replace(bare, vectors=each.vectors), {})
        if plan.dense:
            datasets[each.name, DENSE] = (bare.with_dense_codes(), {})
    groups = [categories] if plan.shared else [[category] for category in categories]
    if any(cell.tokenizer for cell in plan.cells):
        for config in plan.tokenizers:
            for group in groups:
                datasets |= _coded(config, group, folder, template, encoder, reporter)
    _save(datasets, folder / "datasets")
    notes = {category.name: dict(category.notes) for category in categories}
    (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n")
    records: list[dict[str, Any]] = []
    for cell in sorted(plan.cells, key=lambda cell: cell.seed) if train else ():
        first = [record for record in records if not record["cell"]["seed"]]
        if not plan.goes_on(cell, first):
            reporter.ends()
            continue
        reporter.begins(cell.name)
        kind = dataset_read(plan.preset, cell.model, cell.tokenizer)
        dataset, entries = datasets[cell.category, kind]
        progress = _progress(reporter)
        records.append(run_cell(folder, cell, plan.preset, dataset, entries, plan.device, progress))
        reporter.ends()
    return records, notes


def _save(datasets: Datasets, folder: Path) -> None:
    """Write each dataset, and beside it a JSON file with its entries for records."""
    folder.mkdir(parents=True, exist_ok=True)
    for (category, tokenizer), (dataset, entries) in datasets.items():
        stem = "-".join(part for part in (category, tokenizer) if part)
        dataset.save(folder / f"{stem}.safetensors")
        (folder / f"{stem}.json").write_text(json.dumps(entries))


def _coded(
    config: FitConfig,
    group: Sequence[Category],
    folder: Path,
    template: TextTemplate,
    encoder: Encoder,
    reporter: Reporter,
) -> Datasets:
    """Return the datasets with the codes that one tokenizer gives to a group of categories."""
    name = tokenizer_name(config)
    place = folder / "tokenizers" / "-".join([name, *(each.name for each in group)])
    reporter.begins(f"tokenizer {name}")
    found = tokenized(
        group,
        replace(config, seed=0),
        place,
        template,
        encoder,
        lambda step, measured: reporter.goes_on(step, config.steps, ""),
    )
    return {(category.name, name): (dataset, entries) for category, dataset, entries in found}


def _progress(reporter: Reporter) -> Callable[[int, int, Measurement | None], None]:
    def report(step: int, total: int, measured: Measurement | None) -> None:
        note = ""
        if measured is not None:
            found = measured.validation["all"]
            note = f"epoch {measured.epoch}, validation N@10 {found['ndcg@10']:.4f}"
        reporter.goes_on(step, total, note)

    return report
