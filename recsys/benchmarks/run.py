"""A whole benchmark: data, tokenizers, cells; what an earlier run made is taken as it is."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data_prep.embedding.encoders import Encoder
from data_prep.text import TextTemplate
from recsys.benchmarks.amazon import (
    Category,
    dataset_of,
    prepare_category,
    tokenized,
    tokenizer_name,
)
from recsys.benchmarks.cells import BASELINES, Cell, run_cell
from recsys.benchmarks.summary import NOTES
from recsys.data.dataset import SequenceDataset
from recsys.presets import Preset
from recsys.training.loop import Measurement
from tokenizer.config import FitConfig

__all__ = ["Plan", "Teller", "run_plan"]


class Teller(Protocol):
    """Hears what a run does."""

    def begins(self, what: str) -> None:
        """Hear of a piece of work, such as a tokenizer or a cell."""

    def goes_on(self, step: int, total: int, note: str) -> None:
        """Hear how far it is; the note is empty or a figure."""

    def ends(self) -> None:
        """Hear that a cell is done."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        categories: files of reviews and metadata by name.
        models: of the preset; baselines are always measured.
        tokenizers: one configuration each; seeds are those of the models.
        seeds: of models; tokenizers have seed 0.
        shared: one tokenizer for all categories, instead of one each.
        cold: shares of items to hold out of training, each in cells of its own; 0 for none.
    """

    preset: Preset
    categories: dict[str, tuple[Path, Path]]
    models: tuple[str, ...]
    tokenizers: tuple[FitConfig, ...]
    seeds: int = 1
    shared: bool = True
    cold: tuple[float, ...] = (0.0,)
    device: str = "cpu"

    @property
    def cells(self) -> list[Cell]:
        """All cells, those of one dataset together."""
        known = self.preset.models
        bare = [*BASELINES, *(name for name in self.models if not known[name].quantized)]
        coded = [name for name in self.models if known[name].quantized]
        rows = [("", name) for name in bare]
        rows += [(tokenizer_name(each), name) for each in self.tokenizers for name in coded]
        return [
            Cell(category, model, tokenizer, seed, cold)
            for category in self.categories
            for tokenizer, model in rows
            for cold in self.cold
            for seed in range(1 if model in BASELINES else self.seeds)
        ]


def run_plan(
    plan: Plan,
    folder: Path,
    template: TextTemplate,
    encoder: Encoder,
    embedded: Callable[[list[str]], NDArray[np.float32]],
    teller: Teller,
    *,
    train: bool = True,
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the records of all cells, and what is to be said of each category.

    Args:
        folder: gets tables/, tokenizers/, datasets/ (for `python -m recsys.benchmarks`), training/,
            records/ and ranks/.
        embedded: texts → vectors (n, D).
        train: False prepares the datasets and returns no records.

    Raises:
        InputError: data or configurations that cannot be used.
    """
    categories = []
    for name, files in plan.categories.items():
        teller.begins(f"reading {name}")
        tables = folder / "tables" / name
        categories.append(prepare_category(name, files, tables, embedded, template))
    datasets: dict[tuple[str, str], tuple[SequenceDataset, dict[str, Any]]] = {
        (category.name, ""): (dataset_of(category), {}) for category in categories
    }
    groups = [categories] if plan.shared else [[category] for category in categories]
    if any(cell.tokenizer for cell in plan.cells):
        for config in plan.tokenizers:
            for group in groups:
                datasets |= _coded(config, group, folder, template, encoder, teller)
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    for (category_name, tokenizer), (dataset, said) in datasets.items():
        stem = "-".join(part for part in (category_name, tokenizer) if part)
        dataset.save(folder / "datasets" / f"{stem}.safetensors")
        (folder / "datasets" / f"{stem}.json").write_text(json.dumps(said))
    notes = {category.name: dict(category.notes) for category in categories}
    (folder / NOTES).write_text(json.dumps(notes, indent=2) + "\n")
    records = []
    for cell in plan.cells if train else ():
        teller.begins(cell.name)
        dataset, said = datasets[cell.category, cell.tokenizer]
        heard = _hearing(teller)
        records.append(run_cell(folder, cell, plan.preset, dataset, said, plan.device, heard))
        teller.ends()
    return records, notes


def _coded(
    config: FitConfig,
    group: Sequence[Category],
    folder: Path,
    template: TextTemplate,
    encoder: Encoder,
    teller: Teller,
) -> dict[tuple[str, str], tuple[SequenceDataset, dict[str, Any]]]:
    name = tokenizer_name(config)
    place = folder / "tokenizers" / "-".join([name, *(each.name for each in group)])
    teller.begins(f"tokenizer {name}")
    found = tokenized(
        group,
        replace(config, seed=0),
        place,
        template,
        encoder,
        lambda step, measured: teller.goes_on(step, config.steps, ""),
    )
    return {(category.name, name): (dataset, said) for category, dataset, said in found}


def _hearing(teller: Teller) -> Callable[[int, int, Measurement | None], None]:
    def hear(step: int, total: int, measured: Measurement | None) -> None:
        note = ""
        if measured is not None:
            found = measured.validation["all"]
            note = f"epoch {measured.epoch}, validation N@10 {found['ndcg@10']:.4f}"
        teller.goes_on(step, total, note)

    return hear
